//! The law in use on the real store: marks and exemptions that come after the data, orders, quotas, substitution, assessments and
//! submitted periods.

use std::process::{Command, Output};

use cems::clock;
use cems::domain::average::ChannelAverage;
use cems::domain::exceedance::{Outcome, Verdict};
use cems::domain::flag::{Flag, Status};
use cems::domain::limit::AveragingPeriod;
use cems::domain::window::Window;
use cems::store::average::{self, Averages};
use cems::store::due::{self, Due};
use cems::store::verdict::{self, NewVerdict, VerdictKey};
use cems::store::{plant, reckoning};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::Value;

use crate::support::centre::seed;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, World, kiln, world};

const QUICK: &str = "[windows]\ndebounce_ms = 300\nsettle_ms = 300\n[quotas]\ncheck_s = 1\n";
const KILN: &str = "demo-cement-kiln";

/// The start of an hour that ended a day and more ago.
fn past_hour() -> Timestamp {
    Timestamp::from_second((clock::now().as_second() / 3600 - 30) * 3600).unwrap()
}

/// Minutes of an hour, twelve scans each.
async fn send(
    sender: &mut Sender,
    hour: Timestamp,
    minutes: std::ops::Range<i64>,
    (so2, oxygen): (f64, f64),
) {
    let first = sender.seq;
    let mut lines = Vec::new();
    for second in (minutes.start * 60..minutes.end * 60).step_by(5) {
        lines.push(sender.record(hour + SignedDuration::from_secs(second), &kiln(so2, oxygen)));
    }
    for (index, chunk) in lines.chunks(60).enumerate() {
        sender.publish("backfill", first + index as u64 * 60, chunk).await;
    }
    sender.receipted(first..sender.seq).await;
}

/// Waits until nothing is due.
async fn settled(world: &World) {
    wait_until(LIMIT, "everything that is due", || async {
        let soon = "due_at < now() + interval '5 s'";
        let windows = world.count(&format!("SELECT count(*) FROM due WHERE {soon}")).await;
        let quarters = world.count(&format!("SELECT count(*) FROM reckoning_due WHERE {soon}")).await;
        if windows + quarters == 0 { Ok(()) } else { Err((windows, quarters)) }
    })
    .await;
}

/// Saves a document of `plant/1` beside all that is known.
async fn save(world: &World, text: &str) {
    let mut client = world.database.client().await;
    seed(&mut client, &[("more.toml", format!("schema = \"plant/1\"\n{text}"))]).await;
}

/// Verdict and remark of a rule on the hour of SO2.
async fn verdict_of(world: &World, rule: &str, hour: Timestamp) -> Option<(String, Option<String>)> {
    let sql = "SELECT verdict, remark FROM verdict WHERE rule = $1 AND period = 'hour' AND start = $2 \
               AND coalesce(channel, 'a21026') = 'a21026'";
    let row = world.client.query_opt(sql, &[&rule, &hour]).await.unwrap()?;
    Some((row.get(0), row.get(1)))
}

fn cems(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cems")).args(arguments).output().unwrap()
}

const ULTRA_LOW: &str = "hdq-2024-5-cement-kiln-so2";

fn mark(code: &str, claim: &str, (from, until): (Timestamp, Timestamp)) -> String {
    let made_at = Timestamp::from_second(clock::now().as_second()).unwrap();
    format!(
        "[[mark]]\ncode = \"{code}\"\noutlet = \"{KILN}\"\nclaim = \"{claim}\"\nfrom = \"{from}\"\nuntil = \"{until}\"\n\
         author = \"Shift leader\"\nreason = \"As the log says\"\nmade_at = \"{made_at}\"\n"
    )
}

const MARKING: &str = "[[marking]]\ncode = \"cement-marks\"\ndocument = \"Test\"\nindustry = \"C30\"\ndeadline_hours = 240\neffect = \"at-once\"\n\
                       from = \"2020-01-01T00:00:00+08:00\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_made_later_is_contested_by_signals_or_counts_and_an_exemption_withdraws_what_it_covers() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let (burning, stopped, starting) = (past_hour(), past_hour() + 1.hour(), past_hour() + 2.hours());
    send(&mut sender, burning, 0..60, (60.0, 13.5)).await;
    send(&mut sender, stopped, 0..60, (1.0, 20.8)).await;
    send(&mut sender, starting, 0..60, (60.0, 13.5)).await;
    settled(&world).await;
    for hour in [burning, starting] {
        assert_eq!(verdict_of(&world, ULTRA_LOW, hour).await, Some(("exceeded".to_owned(), None)));
    }
    let historical = "SELECT count(*) FROM episode WHERE kind = 'exceedance' AND state = 'historical' AND rule = 'hdq-2024-5-cement-kiln-so2'";
    assert_eq!(world.count(historical).await, 2);

    let marks = [
        mark("stop-1", "stopped", (burning, stopped + 1.hour())),
        mark("start-1", "start-up", (starting, starting + 1.hour())),
        "[[exemption]]\ncode = \"start-up-2h\"\ndocument = \"Test, article 1\"\nindustry = \"C30\"\npollutants = [\"a21026\"]\n\
         states = [\"start-up\"]\nhours_per_year = 2\nfrom = \"2020-01-01T00:00:00+08:00\"\n"
            .to_owned(),
        MARKING.to_owned(),
    ];
    save(&world, &marks.concat()).await;
    settled(&world).await;
    let (verdict, remark) = verdict_of(&world, ULTRA_LOW, burning).await.unwrap();
    assert_eq!(verdict, "exceeded");
    let told = format!("mark stop-1 (stopped) is contested: a19001 shows 13.5 at {burning}");
    assert_eq!(remark.as_deref(), Some(told.as_str()));
    let (verdict, _) = verdict_of(&world, ULTRA_LOW, stopped).await.unwrap();
    assert_eq!(verdict, "not-judged: not valid");
    let status = "SELECT status FROM average WHERE channel = 'a21026' AND period = 'hour' AND start = $1";
    let status: String = world.client.query_one(status, &[&stopped]).await.unwrap().get(0);
    assert_eq!(status, "F");
    let (verdict, remark) = verdict_of(&world, ULTRA_LOW, starting).await.unwrap();
    assert_eq!(verdict, "not-judged: exempt");
    assert!(remark.unwrap().starts_with("exempt by start-up-2h (Test, article 1): 1 h 0 min of 2 h"));
    assert_eq!(world.count(historical).await, 1);
    let withdrawn = "SELECT count(*) FROM episode WHERE state = 'withdrawn' AND rule = 'hdq-2024-5-cement-kiln-so2' \
                     AND reason LIKE '%exempt by start-up-2h%'";
    assert_eq!(world.count(withdrawn).await, 1);
    assert_eq!(
        world.count("SELECT count(*) FROM alert WHERE kind = 'exceedance'").await,
        0,
        "history pages nobody"
    );

    // The bureau rejects the start-up: the hour is judged again, and both versions stay.
    let at = Timestamp::from_second(clock::now().as_second() + 1).unwrap();
    let review = format!(
        "{}[[review]]\nmark = \"start-1\"\nat = \"{at}\"\nby = \"Bureau\"\nreason = \"Load says otherwise\"\ndecision = \"rejected\"\n",
        marks.concat()
    );
    save(&world, &review).await;
    settled(&world).await;
    assert_eq!(verdict_of(&world, ULTRA_LOW, starting).await.unwrap().0, "exceeded");
    let versions = "SELECT count(DISTINCT outcome) FROM verdict_row v JOIN rule r ON r.id = v.rule_id \
                    WHERE r.code = 'hdq-2024-5-cement-kiln-so2' AND v.period = 4";
    assert!(world.count(versions).await >= 3, "exceeded, exempt, not valid");

    the_whole_story(&world, burning);
    world.centre.stop().await;
}

/// `cems explain` tells marks and what contests them, and agrees with what is stored.
fn the_whole_story(world: &World, burning: Timestamp) {
    let explained = cems(&[
        "explain",
        "--outlet",
        KILN,
        "--at",
        &burning.to_string(),
        "--channel",
        "a21026",
        "--json",
        "--database",
        world.database.url(),
    ]);
    let told: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(told["differences"], serde_json::json!([]));
    assert_eq!(told["source"]["marks"][0]["mark"], "stop-1");
    assert!(told["source"]["marks"][0]["contested"].as_str().unwrap().starts_with("a19001 shows 13.5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outlet_that_emits_against_an_order_exceeds_it() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let hour = past_hour();
    let until = hour + 48.hours();
    let order = |code: &str, more: &str| {
        format!(
            "[[order]]\ncode = \"{code}\"\nname = \"Orange alert\"\ndocument = \"Test\"\noutlet = \"{KILN}\"\nfrom = \"{hour}\"\n\
             until = \"{until}\"\n{more}"
        )
    };
    let orders = [
        order("stop-kiln", "demand = \"stop\"\n[[order.threshold]]\nmeasure = \"flow\"\nabove = 1000\n"),
        order(
            "keep-20",
            "demand = \"limit\"\npollutant = \"a21026\"\nlimit = 20\nreference_oxygen_percent = 10\n",
        ),
        order(
            "less-mass",
            "demand = \"reduce\"\npercent = 30\nmeasure = \"mass\"\npollutant = \"a21026\"\nreference = 10\n",
        ),
    ];
    save(&world, &orders.concat()).await;
    send(&mut sender, hour - 1.hour(), 0..60, (30.0, 10.0)).await;
    send(&mut sender, hour, 0..60, (30.0, 10.0)).await;
    settled(&world).await;
    for code in ["stop-kiln", "keep-20", "less-mass"] {
        assert_eq!(
            verdict_of(&world, code, hour).await.map(|found| found.0),
            Some("exceeded".to_owned()),
            "{code}"
        );
        assert_eq!(verdict_of(&world, code, hour - 1.hour()).await, None, "{code} judges its own time");
        let episode = format!("SELECT count(*) FROM episode WHERE rule = '{code}' AND state = 'historical'");
        assert_eq!(world.count(&episode).await, 1, "{code}");
    }
    let kinds =
        "SELECT count(*) FROM verdict WHERE kind = 'order' AND channel IS NULL AND rule = 'stop-kiln'";
    assert_eq!(world.count(kinds).await, 1, "of the outlet as a whole");
    // Ordered for the past hours afterwards: they are judged then.
    let text = order("stop-before", "demand = \"stop\"\n")
        .replace(&format!("from = \"{hour}\""), &format!("from = \"{}\"", hour - 1.hour()));
    save(&world, &text).await;
    settled(&world).await;
    assert_eq!(
        verdict_of(&world, "stop-before", hour - 1.hour()).await.map(|found| found.0),
        Some("exceeded".to_owned())
    );
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_told_once() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let quota = |code: &str, pollutant: &str, tonnes: f64| {
        let year = clock::now().to_zoned(TimeZone::UTC).year();
        format!(
            "[[quota]]\ncode = \"{code}\"\ndocument = \"Permit\"\noutlet = \"{KILN}\"\npollutant = \"{pollutant}\"\ntonnes = {tonnes}\n\
             from = \"{}-01-01T00:00:00+08:00\"\nuntil = \"{}-01-01T00:00:00+08:00\"\n",
            year - 1,
            year + 2
        )
    };
    save(&world, &[quota("permit-so2", "a21026", 0.01), quota("permit-nox", "a21002", 1000.0)].concat())
        .await;
    send(&mut sender, past_hour(), 0..60, (60.0, 13.5)).await;
    let alerts = wait_until(LIMIT, "the alert of the quota", || async {
        let alerts = world.webhook.of_kind("quota");
        if alerts.is_empty() { Err(alerts) } else { Ok(alerts) }
    })
    .await;
    // All of it at once: one alert, of the highest line.
    let told = alerts[0]["summary"].as_str().unwrap();
    assert!(told.starts_with("permit-so2 a21026 has reached 100.00 %: "), "{told}");
    assert_eq!((alerts[0]["level"].as_u64(), alerts[0]["line_percent"].as_f64()), (Some(3), Some(100.0)));
    settled(&world).await;
    let ledger =
        cems(&["ledger", "--json", "--from", "2020-01-01T00:00:00Z", "--database", world.database.url()]);
    let ledger: Value = serde_json::from_slice(&ledger.stdout).unwrap();
    let quotas = ledger["quotas"].as_array().unwrap();
    let of = |code: &str| quotas.iter().find(|quota| quota["quota"] == code).unwrap();
    assert_eq!(
        (of("permit-so2")["verdict"].as_str(), of("permit-nox")["verdict"].as_str()),
        (Some("exceeded"), Some("met"))
    );
    // The year is the sum of its hours, to the milligram.
    let hours = "SELECT sum(mass_kg) * 1000000 FROM average WHERE channel = 'a21026' AND period = 'hour'";
    let hours: i64 = world.client.query_one(&format!("SELECT ({hours})::bigint"), &[]).await.unwrap().get(0);
    let used = (of("permit-so2")["used_t"].as_f64().unwrap() * 1e9).round() as i64;
    assert_eq!((used, hours > 0), (hours, true));
    assert_eq!(world.webhook.of_kind("quota").len(), 1, "told once");
    world.centre.stop().await;
}

/// What is over is locked once, what is still to come never.
fn lock_once(lock: &[&str], begin: &[&str], url: &str) {
    let later = (clock::now() + 2.hours()).to_string();
    let to_come = [begin, &[&later, "--by", "B", "--reason", "R", "--database", url]].concat();
    assert_eq!(cems(&to_come).status.code(), Some(2), "what is still to come cannot be submitted");
    let locked = cems(lock);
    assert_eq!(locked.status.code(), Some(0), "{}", String::from_utf8_lossy(&locked.stderr));
    assert_eq!(cems(lock).status.code(), Some(2), "locked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_hour_shows_what_would_change_until_it_is_reopened() {
    let world = world(QUICK).await;
    let mut sender = Sender::connect(world.broker.port()).await;
    let hour = past_hour();
    send(&mut sender, hour, 0..45, (40.0, 10.0)).await;
    settled(&world).await;
    let (from, to) = (hour.to_string(), (hour + 1.hour()).to_string());
    let url = world.database.url();
    let lock = [
        "period",
        "lock",
        "--outlet",
        KILN,
        "--from",
        &from,
        "--to",
        &to,
        "--by",
        "Bureau",
        "--reason",
        "Quarter report",
        "--database",
        url,
    ];
    lock_once(&lock, &["period", "lock", "--outlet", KILN, "--from", &from, "--to"], url);

    let figures = "SELECT count(*) FROM average_long WHERE period = 4";
    let before = world.count(figures).await;
    send(&mut sender, hour, 45..60, (5.0, 10.0)).await;
    settled(&world).await;
    let differs = "SELECT submitted_corrected, corrected FROM locked_difference WHERE channel = 'a21026' AND period = 'hour'";
    let row = world.client.query_one(differs, &[]).await.unwrap();
    assert_eq!((row.get::<_, f64>(0), row.get::<_, f64>(1)), (40.0, 31.25));
    assert_eq!(world.count(figures).await, before, "nothing of the submitted hour changed");
    assert_eq!(verdict_of(&world, ULTRA_LOW, hour).await.unwrap().0, "exceeded");
    let historical =
        "SELECT count(*) FROM episode WHERE state = 'historical' AND rule = 'hdq-2024-5-cement-kiln-so2'";
    assert_eq!(world.count(historical).await, 1);

    let list = cems(&["period", "list", "--json", "--database", url]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let id = list[0]["id"].to_string();
    let reopen = [
        "period",
        "reopen",
        "--id",
        &id,
        "--by",
        "Bureau",
        "--reason",
        "Late data accepted",
        "--database",
        url,
    ];
    assert_eq!(cems(&reopen).status.code(), Some(0));
    assert_eq!(cems(&reopen).status.code(), Some(2), "reopened once");
    settled(&world).await;
    assert_eq!(world.count("SELECT count(*) FROM locked_difference").await, 0);
    assert_eq!(verdict_of(&world, ULTRA_LOW, hour).await.unwrap().0, "met");
    assert_eq!(world.count(historical).await, 0);
    let erased = world.client.execute("DELETE FROM period_lock", &[]).await;
    assert!(erased.is_err(), "what was locked when, by whom and why cannot be removed");
    world.centre.stop().await;
}

fn hour_average(mass_mg: Option<i64>) -> ChannelAverage {
    let valid = mass_mg.is_some();
    ChannelAverage {
        measured: Some(30.0),
        standard: Some(30.0),
        dry: Some(30.0),
        corrected: Some(30.0),
        min: Some(30.0),
        max: Some(30.0),
        n_valid: if valid { 60 } else { 0 },
        n_expected: 60,
        status: if valid { Status::Normal } else { Status::Fault },
        flag: if valid { Flag::Normal } else { Flag::Fault },
        valid,
        mass_mg,
    }
}

/// Substitutes, capture rate and ledger of the quarter.
async fn substituted(world: &World, quarter: Window, hours: i64) {
    let sql = "SELECT count(*), min((mass_kg * 1000000)::bigint), min(look_back), bool_or(provisional), min(situation), max(gap_hours) FROM substitute \
               WHERE channel = 'a21026'";
    let row = world.client.query_one(sql, &[]).await.unwrap();
    let found: (i64, i64, i32, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!(found, (24, 5000, 180, false));
    assert_eq!((row.get::<_, &str>(4), row.get::<_, i32>(5)), ("table-6", 24));
    let capture = "SELECT hours, invalid, rate_percent::text, provisional FROM capture WHERE channel = 'a21026' AND start = $1";
    let row = world.client.query_one(capture, &[&quarter.start]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, bool>(3)), (hours, 24, false));
    assert_eq!(row.get::<_, &str>(2), format!("{:.2}", ((hours - 24) * 10000 / hours) as f64 / 100.0));
    let apart =
        "SELECT sum(measured_mg)::bigint, sum(substituted_mg)::bigint FROM emission WHERE channel = 'a21026'";
    let row = world.client.query_one(apart, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), ((hours - 25) * 1000 + 5000, 24 * 5000));
    // The ledger says the same.
    let ledger = cems(&[
        "ledger",
        "--json",
        "--from",
        &quarter.start.to_string(),
        "--outlet",
        KILN,
        "--database",
        world.database.url(),
    ]);
    let ledger: Value = serde_json::from_slice(&ledger.stdout).unwrap();
    let quarters: Vec<&Value> = ledger["amounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| {
            entry["period"] == "quarter" && entry["level"] == "outlet" && entry["pollutant"] == "a21026"
        })
        .collect();
    assert_eq!(quarters[0]["substituted_t"].as_f64().unwrap(), 0.00012);
}

/// A quarter that is over, hour by hour: 1 g each but the hour before the gap (5 g); twenty hours without a mass, four not there at all.
#[tokio::test(flavor = "multi_thread")]
async fn missing_masses_of_a_quarter_are_substituted_and_stand_apart() {
    let world = world(QUICK).await;
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let this = Window::containing(AveragingPeriod::Quarter, clock::now(), &zone);
    let quarter =
        Window::containing(AveragingPeriod::Quarter, this.start - SignedDuration::from_hours(24), &zone);
    let hours = (quarter.end.as_second() - quarter.start.as_second()) / 3600;
    let known = plant::load(&world.client).await.unwrap();
    let outlet = known.outlet(KILN).unwrap();
    let gap = 1000..1024;
    let rows: Vec<Averages> = (0..hours)
        .filter(|index| !(1020..1024).contains(index))
        .map(|index| {
            let mass = if gap.contains(&index) { None } else { Some(if index == 999 { 5000 } else { 1000 }) };
            let start = quarter.start + SignedDuration::from_hours(index);
            let window = Window::containing(AveragingPeriod::Hour, start, &zone);
            let channels = outlet.channels.iter().map(|_| hour_average(mass)).collect();
            Averages { of: (outlet.id, 1), window, revision: 1, channels }
        })
        .collect();
    for chunk in rows.chunks(200) {
        average::store(&world.client, chunk, quarter.end).await.unwrap();
    }
    let since = std::collections::BTreeMap::from([(outlet.id, quarter.start)]);
    reckoning::append(&world.client, &since, clock::now()).await.unwrap();
    settled(&world).await;
    substituted(&world, quarter, hours).await;
    // Since then the outlet is silent: its quarter is reckoned all the same, and nothing of it was captured.
    if clock::now() > this.start + SignedDuration::from_hours(24) {
        let silent = wait_until(LIMIT, "the capture rate of a silent quarter", || async {
            let sql =
                "SELECT hours, invalid, provisional FROM capture WHERE channel = 'a21026' AND start = $1";
            world.client.query_opt(sql, &[&this.start]).await.unwrap().ok_or("not reckoned")
        })
        .await;
        let (hours, invalid): (i64, i64) = (silent.get(0), silent.get(1));
        assert!(hours >= 24 && hours == invalid && silent.get::<_, bool>(2), "{hours} {invalid}");
    }

    // A check that failed at the hour 500: from then on the analyser is out of control, until a good one two hours later.
    let at = |index: i64| quarter.start + SignedDuration::from_hours(index);
    let check = |index: i64, result: &str| {
        format!(
            "[[check]]\noutlet = \"{KILN}\"\nanalyser = \"gas\"\nkind = \"span-drift\"\nat = \"{}\"\nresult = \"{result}\"\nby = \"Contractor\"\n",
            at(index)
        )
    };
    save(&world, &[check(400, "passed"), check(500, "failed"), check(502, "passed")].concat()).await;
    settled(&world).await;
    let out = "SELECT count(*), min(from_hour), max(situation) FROM substitute WHERE channel = 'a21026' AND start >= $1 AND start < $2";
    let row = world.client.query_one(out, &[&at(500), &at(502)]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(2)), (2, "table-5"));
    assert!(row.get::<_, Timestamp>(1) < at(400), "looked back from the last good check");
    world.centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_assessed_by_its_stored_verdicts() {
    let world = world(QUICK).await;
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let known = plant::load(&world.client).await.unwrap();
    let outlet = known.outlet(KILN).unwrap();
    let this = Window::containing(AveragingPeriod::Month, clock::now(), &zone);
    let month =
        Window::containing(AveragingPeriod::Month, this.start - SignedDuration::from_hours(24), &zone);
    let so2 = outlet.channels.iter().position(|channel| channel.factor.code == "a21026").unwrap();
    let rule = outlet.rules.iter().find(|rule| rule.code == ULTRA_LOW).unwrap();
    // 200 judged hours, ten of them exceeded: exactly 95 %.
    let hours: Vec<Window> = month.parts(&zone).iter().flat_map(|day| day.parts(&zone)).take(200).collect();
    let verdicts = |exceeded: usize, revision: i32| -> Vec<NewVerdict> {
        let of = |(index, window): (usize, &Window)| {
            let outcome = if index < exceeded { Outcome::Exceeded } else { Outcome::Met };
            let key = VerdictKey {
                of: (outlet.id, 1),
                position: VerdictKey::position_of(Some(so2)),
                window: *window,
                rule_id: rule.id,
            };
            let verdict = Verdict { outcome, corrected: Some(30.0), limit: 35.0, ratio_over: None };
            NewVerdict { key, revision, verdict, remark: None }
        };
        hours.iter().enumerate().map(of).collect()
    };
    verdict::store(&world.client, &verdicts(10, 1)).await.unwrap();
    let day = Averages {
        of: (outlet.id, 1),
        window: month.parts(&zone)[0],
        revision: 1,
        channels: outlet.channels.iter().map(|_| hour_average(Some(1))).collect(),
    };
    average::store(&world.client, &[day], month.end).await.unwrap();
    let due = Due {
        outlet_id: outlet.id,
        source_id: 1,
        period: AveragingPeriod::Month,
        start: month.start,
        due_at: clock::now(),
    };
    due::append_all(&world.client, &[due]).await.unwrap();
    settled(&world).await;
    let sql = "SELECT v.rule, v.verdict, v.remark FROM verdict v WHERE v.period = 'month' AND v.channel = 'a21026' AND v.kind = 'assessment' \
               AND v.remark LIKE '%judged hour windows met hdq-2024-5-cement-kiln-so2%'";
    let row = world.client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(1), "met");
    assert!(row.get::<_, &str>(2).starts_with("190 of 200 judged hour windows"), "{}", row.get::<_, &str>(2));
    // One more, found later.
    verdict::store(&world.client, &verdicts(11, 2)).await.unwrap();
    due::append_all(&world.client, &[due]).await.unwrap();
    settled(&world).await;
    let row = world.client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(1), "not-met");
    world.centre.stop().await;
}
