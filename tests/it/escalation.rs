//! Ladders on the real tables, by simulated times: who is told when, across a change of shift, and what stops it.

use std::sync::Arc;
use std::time::Duration;

use cems::central::notify::dispatch::Dispatcher;
use cems::config::kind::Source;
use cems::config::{catalogue, seeds};
use cems::domain::alert::{Alert, AlertKind, Phase, Place};
use cems::domain::alerting::{Address, Alerting, Audience, Day, Language, Person, Shift, Swap, Team};
use cems::domain::episode::{Observation, WINDOW};
use cems::domain::times::Times;
use cems::store::episode::{Key, Sighting, observe};
use cems::store::session::Session;
use cems::store::{frame, migrate, plant};
use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_postgres::Client;

use crate::support::database::{TestDatabase, database};
use crate::support::told::told;

const ENTERPRISE: &str = "91410883DEM000003Y";

fn always() -> Times {
    Times { from: Timestamp::UNIX_EPOCH, until: None }
}

/// 2026-11-26 at this time in Shanghai.
fn at(clock: &str) -> Timestamp {
    format!("2026-11-26T{clock}+08:00").parse().unwrap()
}

fn person(code: &str, addresses: &[(&str, &str)]) -> Person {
    let address = |(channel, to): &(&str, &str)| Address {
        channel: (*channel).to_owned(),
        to: (*to).to_owned(),
        hours: None,
        least: None,
    };
    let addresses = addresses.iter().map(address).collect();
    let (code, name) = (code.to_owned(), code.to_owned());
    Person { code, name, times: always(), language: Language::Zh, addresses }
}

fn team(code: &str, audience: Audience) -> Team {
    let enterprise = (audience == Audience::Enterprise).then(|| ENTERPRISE.to_owned());
    let (code, name) = (code.to_owned(), code.to_owned());
    Team {
        code,
        name,
        audience,
        times: always(),
        division: String::new(),
        enterprise,
        kinds: Vec::new(),
        least: None,
        is_default: audience != Audience::Enterprise,
        leads: Vec::new(),
        group: Vec::new(),
        language: Language::Zh,
    }
}

fn shift(code: &str, team: &str, hours: (i8, i8), person: &str) -> Shift {
    Shift {
        code: code.to_owned(),
        team: team.to_owned(),
        times: always(),
        days: vec![Day::Workday, Day::Restday],
        hours: (time(hours.0, 0, 0, 0), time(hours.1, 0, 0, 0)),
        people: vec![person.to_owned()],
    }
}

/// A bureau with a day and a night shift and a lead; a desk of the enterprise, and one of another enterprise.
fn roster() -> Alerting {
    let mut bureau = team("bureau", Audience::Bureau);
    bureau.leads = vec!["lead".to_owned()];
    let mut works = team("works", Audience::Enterprise);
    works.leads = vec!["works-desk".to_owned()];
    let mut others = team("others", Audience::Enterprise);
    (others.enterprise, others.leads) =
        (Some("91410883DEM000009Y".to_owned()), vec!["others-desk".to_owned()]);
    Alerting {
        teams: vec![bureau, works, others],
        people: vec![
            person("day", &[("mail", "day@bureau.example"), ("phone", "13800000001")]),
            person("night", &[("phone", "13800000002"), ("mail", "night@bureau.example")]),
            person("lead", &[("phone", "13800000003")]),
            person("works-desk", &[("mail", "desk@works.example")]),
            person("others-desk", &[("mail", "desk@others.example")]),
            person("stand-in", &[("phone", "13800000004")]),
        ],
        shifts: vec![shift("day", "bureau", (8, 20), "day"), shift("night", "bureau", (20, 8), "night")],
        ..Alerting::default()
    }
}

struct World {
    _database: TestDatabase,
    client: Client,
    dispatcher: Dispatcher,
    outlet: i32,
}

impl World {
    async fn new(alerting: Alerting) -> World {
        let database = database().await;
        let mut client = database.client().await;
        migrate::migrate(&mut client).await.unwrap();
        let sources: Vec<Source> = vec![seeds::pollutants(), seeds::rules(), seeds::demonstration()];
        let mut catalogue = catalogue::parse(&sources).unwrap();
        catalogue.law.alerting = alerting;
        plant::save(&mut client, &catalogue).await.unwrap();
        client
            .batch_execute(
                "UPDATE notify_channel SET enabled = false; \
                 INSERT INTO notify_channel (name, kind, enabled, broadcast) VALUES ('phone', 'log', true, false), ('mail', 'log', true, false)",
            )
            .await
            .unwrap();
        let (plant, frames) = frame::load(&client).await.unwrap();
        let outlet = plant.outlet("demo-cement-kiln").unwrap().id;
        let (_line, frames) = watch::channel(Arc::new(frames));
        let session = Session::new(database.url());
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let dispatcher =
            Dispatcher::new(session, frames, zone, (Arc::new(Notify::new()), Duration::from_mins(1)));
        World { _database: database, client, dispatcher, outlet }
    }

    /// An observation of an exceedance at a level, as judging makes it.
    async fn exceeds(&self, now: Timestamp, (level, above): (u8, bool)) {
        let mut alert = Alert::new(AlertKind::Exceedance, now, now).at_level(level);
        alert.outlet = Some(Place {
            code: "demo-cement-kiln".to_owned(),
            enterprise_code: ENTERPRISE.to_owned(),
            division: "410883".to_owned(),
            ..Place::default()
        });
        let key = Key {
            outlet_id: self.outlet,
            position: 0,
            rule_id: 1,
            kind: AlertKind::Exceedance,
            subject: String::new(),
        };
        let observation = Observation { at: now, value: 88.0, above, level };
        let hold = SignedDuration::ZERO;
        let seen = Sighting { key, observation, limit: Some(35.0), hold, clear: WINDOW, alert };
        observe(&self.client, vec![seen], now).await.unwrap();
    }

    /// Who of an audience was told by when, in order: step, person and channel.
    async fn told(&mut self, clock: &str, audience: Audience) -> Vec<(i32, String, String)> {
        let now = at(clock);
        self.dispatcher.on_due(now).await.unwrap();
        let sql = "SELECT d.step, d.person, n.name FROM delivery d JOIN notify_channel n ON n.id = d.channel_id \
             WHERE d.audience = $1 AND d.created_at = $2 ORDER BY 1, 2, 3";
        let rows = self.client.query(sql, &[&audience.name(), &now]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

fn tell(step: i32, person: &str, channel: &str) -> (i32, String, String) {
    (step, person.to_owned(), channel.to_owned())
}

const DELIVERED: &str =
    "UPDATE delivery SET state = 'delivered', fail_over_at = NULL WHERE state = 'waiting'";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acknowledges_and_the_whole_ladder_is_walked_across_a_change_of_shift() {
    let mut world = World::new(roster()).await;
    world.exceeds(at("07:50:00"), (1, true)).await;
    // The night is on duty, by the first address; the enterprise hears of its own outlet, and no other enterprise does.
    assert_eq!(world.told("07:50:00", Audience::Bureau).await, [tell(0, "night", "phone")]);
    assert_eq!(world.told("07:50:00", Audience::Enterprise).await, [tell(0, "works-desk", "mail")]);
    world.run(DELIVERED).await;
    assert_eq!(world.told("08:04:59", Audience::Bureau).await, []);
    // 15 minutes later the day has come: by all addresses.
    let both = [tell(1, "day", "mail"), tell(1, "day", "phone")];
    assert_eq!(world.told("08:05:00", Audience::Bureau).await, both);
    world.run(DELIVERED).await;
    let with_lead = [tell(2, "day", "mail"), tell(2, "day", "phone"), tell(2, "lead", "phone")];
    assert_eq!(world.told("08:20:00", Audience::Bureau).await, with_lead);
    world.run(DELIVERED).await;
    assert_eq!(world.told("08:49:59", Audience::Bureau).await, []);
    let last = [tell(3, "day", "mail"), tell(3, "day", "phone"), tell(3, "lead", "phone")];
    assert_eq!(world.told("08:50:00", Audience::Bureau).await, last);
    world.run(DELIVERED).await;
    assert_eq!(world.told("12:00:00", Audience::Bureau).await, []);
    let others = "SELECT count(*) FROM delivery WHERE person = 'others-desk'";
    assert_eq!(world.count(others).await, 0);
    // Each person's message has a link of its own.
    assert_eq!(world.count("SELECT count(*) FROM delivery WHERE link_id IS NULL").await, 0);
    let links = "SELECT count(*) - count(DISTINCT id) FROM alert_link";
    assert_eq!(world.count(links).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_stops_its_own_ladder_and_a_worse_level_is_told_once_more() {
    let mut world = World::new(roster()).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    assert_eq!(world.told("03:00:00", Audience::Bureau).await.len(), 1);
    world.run(DELIVERED).await;
    world
        .run("UPDATE handling SET acknowledged_at = now(), acknowledged_by = 'night', next_at = NULL WHERE audience = 'bureau'")
        .await;
    assert_eq!(world.told("03:15:00", Audience::Bureau).await, []);
    // The enterprise has not acknowledged: its ladder goes on.
    assert_eq!(
        world.count("SELECT count(*) FROM delivery WHERE audience = 'enterprise' AND step = 1").await,
        1
    );
    world.run(DELIVERED).await;
    // It gets worse: who is on duty hears of it, and it does not climb again.
    world.exceeds(at("04:00:00"), (3, true)).await;
    assert_eq!(world.told("04:00:00", Audience::Bureau).await, [tell(0, "night", "phone")]);
    world.run(DELIVERED).await;
    assert_eq!(world.told("05:30:00", Audience::Bureau).await, []);
    let worsened = "SELECT count(*) FROM alert WHERE phase = 'worsened' AND body->>'severity' = 'critical'";
    assert_eq!(world.count(worsened).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE state = 'open'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_episode_stops_the_ladder() {
    let mut world = World::new(roster()).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    assert_eq!(world.told("03:00:00", Audience::Bureau).await.len(), 1);
    world.run(DELIVERED).await;
    world.exceeds(at("03:10:00"), (1, false)).await;
    assert_eq!(world.told("03:15:00", Audience::Bureau).await, []);
    assert_eq!(world.count("SELECT count(*) FROM handling WHERE next_at IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_get_through_in_a_minute_goes_to_the_next_address_and_then_up_the_ladder() {
    let mut world = World::new(roster()).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    assert_eq!(world.told("03:00:00", Audience::Bureau).await, [tell(0, "night", "phone")]);
    assert_eq!(world.told("03:00:59", Audience::Bureau).await, []);
    assert_eq!(world.told("03:01:00", Audience::Bureau).await, [tell(0, "night", "mail")]);
    let state = "SELECT state FROM delivery d JOIN notify_channel n ON n.id = d.channel_id \
         WHERE n.name = 'phone' AND d.audience = 'bureau' AND step = 0";
    let state: String = world.client.query_one(state, &[]).await.unwrap().get(0);
    assert_eq!(state, "failed-over");
    // The last address does not answer either: the next step does not wait for its time, and this one is tried on.
    assert_eq!(
        world.told("03:02:00", Audience::Bureau).await,
        [tell(1, "night", "mail"), tell(1, "night", "phone")]
    );
    let waiting = "SELECT count(*) FROM delivery WHERE state = 'waiting' AND step = 0 AND person = 'night'";
    assert_eq!(world.count(waiting).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_keeps_it_from_people_until_it_ends_and_what_is_over_by_then_is_not_told() {
    let mut world = World::new(roster()).await;
    let silence = "INSERT INTO silence (kind, outlet, silent_from, silent_until, author, reason, made_at) VALUES \
         ('maintenance', 'demo-cement-kiln', '2026-11-26T02:00:00+08:00', '2026-11-26T04:00:00+08:00', 'duty desk', 'calibration', now())";
    world.run(silence).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    assert_eq!(world.told("03:00:00", Audience::Bureau).await, []);
    assert_eq!(world.told("03:59:59", Audience::Bureau).await, []);
    assert_eq!(world.count("SELECT count(*) FROM episode WHERE state = 'open'").await, 1);
    assert_eq!(world.told("04:00:00", Audience::Bureau).await, [tell(0, "night", "phone")]);

    let mut world = World::new(roster()).await;
    world.run(silence).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    assert_eq!(world.told("03:00:00", Audience::Bureau).await, []);
    world.exceeds(at("03:30:00"), (1, false)).await;
    assert_eq!(world.told("04:00:00", Audience::Bureau).await, []);
    assert_eq!(world.count("SELECT count(*) FROM delivery").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_reaches_those_who_were_told_and_nobody_else() {
    let mut world = World::new(roster()).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    assert_eq!(world.told("03:00:00", Audience::Bureau).await, [tell(0, "night", "phone")]);
    // The enterprise's mail has not left yet.
    world.run("UPDATE delivery SET state = 'delivered', fail_over_at = NULL WHERE audience = 'bureau'").await;
    let (outlet, episode): (i32, i64) = {
        let row = world.client.query_one("SELECT outlet_id, id FROM episode_row", &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    world.run("UPDATE episode_row SET state = 'withdrawn', closed_at = now()").await;
    let mut alert = Alert::new(AlertKind::Exceedance, at("03:00:00"), at("03:00:00"));
    alert.phase = Phase::Withdrawn;
    cems::store::alert::put(&world.client, &alert, (outlet, episode), at("03:05:00")).await.unwrap();
    assert_eq!(world.told("03:05:00", Audience::Bureau).await, [tell(0, "night", "phone")]);
    let states = "SELECT string_agg(state, ' ' ORDER BY state) FROM delivery WHERE audience = 'enterprise'";
    let states: String = world.client.query_one(states, &[]).await.unwrap().get(0);
    assert_eq!(states, "cancelled");
    assert_eq!(world.told("03:20:00", Audience::Bureau).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_enterprise_hears_of_an_early_warning_first_and_the_bureau_only_if_it_lasts() {
    for acknowledged in [false, true] {
        let mut world = World::new(roster()).await;
        let (now, mut alert) =
            (at("03:00:00"), Alert::new(AlertKind::EarlyWarning, at("03:00:00"), at("03:00:00")));
        alert.outlet = Some(Place {
            enterprise_code: ENTERPRISE.to_owned(),
            division: "410883".to_owned(),
            ..Place::default()
        });
        let kind = AlertKind::EarlyWarning;
        let key = Key { outlet_id: world.outlet, position: 0, rule_id: 1, kind, subject: String::new() };
        let observation = Observation { at: now, value: 40.0, above: true, level: 1 };
        let hold = SignedDuration::ZERO;
        let seen = Sighting { key, observation, limit: Some(35.0), hold, clear: WINDOW, alert };
        observe(&world.client, vec![seen], now).await.unwrap();
        assert_eq!(world.told("03:00:00", Audience::Bureau).await, []);
        assert_eq!(world.told("03:00:00", Audience::Enterprise).await, [tell(0, "works-desk", "mail")]);
        world.run(DELIVERED).await;
        if acknowledged {
            let ack = "UPDATE handling SET acknowledged_at = now(), acknowledged_by = 'works-desk', next_at = NULL WHERE audience = 'enterprise'";
            world.run(ack).await;
        }
        let told = world.told("03:15:00", Audience::Bureau).await;
        let expected = if acknowledged { vec![] } else { vec![tell(0, "night", "phone")] };
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_duty_falls_back_to_the_default_team_and_is_told() {
    let mut alerting = roster();
    let mut city = team("city", Audience::Bureau);
    (city.division, city.is_default, city.leads) = ("4108".to_owned(), false, vec!["day".to_owned()]);
    alerting.teams.push(city);
    alerting.shifts.push(shift("city-day", "city", (8, 20), "day"));
    // Somebody else has the night of today.
    alerting.swaps.push(Swap {
        code: "swap-1".to_owned(),
        team: "bureau".to_owned(),
        times: Times { from: at("00:00:00"), until: Some(at("08:00:00")) },
        out: "night".to_owned(),
        stand_in: "stand-in".to_owned(),
        reason: "illness".to_owned(),
    });
    let mut world = World::new(alerting).await;
    world.exceeds(at("03:00:00"), (1, true)).await;
    // The city's team has nobody at night: the default team's night shift is told, once, although it hears of it by itself as well.
    assert_eq!(world.told("03:00:00", Audience::Bureau).await, [tell(0, "stand-in", "phone")]);
    world.run(DELIVERED).await;
    world.dispatcher.look_for_gaps(at("03:01:00")).await.unwrap();
    let gap =
        "SELECT count(*) FROM episode_row WHERE kind = 'duty-gap' AND subject = 'city' AND closed_at IS NULL";
    assert_eq!(world.count(gap).await, 1);
    let (zh, en) = told(&world.client, "duty-gap", "begun").await;
    insta::assert_snapshot!("duty_gap", format!("{zh}\n\n{en}"));
    world.dispatcher.look_for_gaps(at("08:00:00")).await.unwrap();
    assert_eq!(world.count(gap).await, 0);
}
