//! Ledgers, quotas and targets.

use proptest::prelude::*;

use super::*;

fn zone() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn emitted(start: Timestamp, outlet: &str, division: &str, measured_mg: i64) -> Emitted {
    Emitted {
        start,
        outlet: outlet.to_owned(),
        enterprise: "91410811DEM000001F".to_owned(),
        division: division.to_owned(),
        pollutant: "a21026".to_owned(),
        amount: Amount { measured_mg: i128::from(measured_mg), substituted_mg: 0 },
    }
}

const TONNE: i64 = 1_000_000_000;

fn quota(permitted_mg: i64) -> Quota {
    Quota {
        code: "permit-so2".to_owned(),
        document: "Permit".to_owned(),
        account: Account::Enterprise("91410811DEM000001F".to_owned()),
        pollutant: "a21026".to_owned(),
        times: Times { from: at("2026-01-01T00:00:00+08:00"), until: Some(at("2027-01-01T00:00:00+08:00")) },
        permitted_mg,
        alerts: [80, 90, 100].map(Percent::whole).to_vec(),
        pace_days: 30,
    }
}

/// A tonne a day at noon, from 1 January.
fn a_tonne_a_day(days: i64) -> Vec<Emitted> {
    let noon = at("2026-01-01T12:00:00+08:00");
    (0..days)
        .map(|day| {
            emitted(
                noon.checked_add(jiff::SignedDuration::from_hours(24 * day)).unwrap(),
                "kiln",
                "410811",
                TONNE,
            )
        })
        .collect()
}

#[test]
fn the_pace_says_when_a_quota_is_used_up() {
    // 100 t permitted, 79 t by 20 March: more than 100 t are reached on the 101st day, 11 April.
    let found = used(&quota(100 * TONNE), &a_tonne_a_day(79), at("2026-03-21T00:00:00+08:00"), &zone());
    assert_eq!((found.share.to_string().as_str(), found.alert), ("79.00 %", None));
    assert_eq!((found.pace, found.exceeded), ((30 * i128::from(TONNE), 30), false));
    assert_eq!(found.used_up_on, Some(Date::constant(2026, 4, 11)));
    // The same as what really happens.
    let happened = used(&quota(100 * TONNE), &a_tonne_a_day(150), at("2026-06-01T00:00:00+08:00"), &zone());
    assert_eq!((happened.exceeded, happened.used_up_on), (true, Some(Date::constant(2026, 4, 11))));
}

#[test]
fn lines_are_reached_exactly() {
    let alert = |days: i64| {
        used(&quota(100 * TONNE), &a_tonne_a_day(days), at("2026-12-31T00:00:00+08:00"), &zone()).alert
    };
    assert_eq!(
        [79, 80, 89, 90, 100, 101].map(alert),
        [None, Some(80), Some(80), Some(90), Some(100), Some(100)]
            .map(|line: Option<u32>| line.map(Percent::whole))
    );
    // All of it is not more than it.
    let all = used(&quota(100 * TONNE), &a_tonne_a_day(100), at("2026-12-31T00:00:00+08:00"), &zone());
    assert!(!all.exceeded);
}

#[test]
fn a_pace_that_lasts_the_year_uses_nothing_up() {
    let found = used(&quota(400 * TONNE), &a_tonne_a_day(100), at("2026-04-11T00:00:00+08:00"), &zone());
    assert_eq!(found.used_up_on, None);
    let still = used(&quota(400 * TONNE), &[], at("2026-04-11T00:00:00+08:00"), &zone());
    assert_eq!((still.used_up_on, still.pace), (None, (0, 30)));
    // Early in the year the pace is that of the days there were.
    let early = used(&quota(400 * TONNE), &a_tonne_a_day(3), at("2026-01-04T00:00:00+08:00"), &zone());
    assert_eq!(early.pace, (3 * i128::from(TONNE), 3));
}

#[test]
fn other_accounts_pollutants_and_years_are_left_out() {
    let mut hours = a_tonne_a_day(10);
    hours[0].enterprise = "other".to_owned();
    hours[1].pollutant = "a21002".to_owned();
    hours[2].start = at("2025-12-31T23:00:00+08:00");
    hours[3].amount = Amount { measured_mg: 0, substituted_mg: i128::from(TONNE) };
    let found = used(&quota(100 * TONNE), &hours, at("2026-02-01T00:00:00+08:00"), &zone());
    assert_eq!(
        found.amount,
        Amount { measured_mg: 6 * i128::from(TONNE), substituted_mg: i128::from(TONNE) }
    );
}

#[test]
fn targets_of_the_plans() {
    let target = |aim| Target {
        code: "t".to_owned(),
        document: "A plan".to_owned(),
        division: "1403".to_owned(),
        substance: "SO2".to_owned(),
        pollutant: Some("a21026".to_owned()),
        year: 2021,
        aim,
    };
    let two_per_cent = target(Aim::ReduceShare { percent: Percent::whole(2), base_year: 2020 });
    let base = Some(1000 * MG_PER_TONNE);
    assert_eq!(two_per_cent.allowed_mg(base), Some(980 * MG_PER_TONNE));
    assert_eq!(two_per_cent.reached(base, 980 * MG_PER_TONNE), Some(true));
    assert_eq!(two_per_cent.reached(base, 980 * MG_PER_TONNE + 1), Some(false));
    assert_eq!(two_per_cent.reached(None, 0), None);
    let tonnes = target(Aim::ReduceBy { mg: 6_231 * TONNE, base_year: None });
    assert_eq!(tonnes.allowed_mg(Some(20_000 * MG_PER_TONNE)), Some(13_769 * MG_PER_TONNE));
    assert_eq!(target(Aim::AtMost { mg: 5 }).reached(None, 5), Some(true));
}

proptest! {
    #[test]
    fn the_year_is_the_sum_of_its_hours_at_every_level(
        hours in prop::collection::vec((0_i64..8760, 0_usize..4, 0_i64..9_000_000_000_000_000), 1..200),
    ) {
        let start = at("2026-01-01T00:00:00+08:00");
        let places = [("a", "410811"), ("b", "410811"), ("c", "410882"), ("d", "140302")];
        let hours: Vec<Emitted> = hours.iter().map(|(hour, place, mg)| {
            let (outlet, division) = places[*place];
            emitted(start.checked_add(jiff::SignedDuration::from_hours(*hour)).unwrap(), outlet, division, *mg)
        }).collect();
        let sum: i128 = hours.iter().map(|hour| hour.amount.total_mg()).sum();
        for level in Level::ALL {
            let ledger = ledger(level, &hours);
            let total: i128 = ledger.values().map(|amount| amount.total_mg()).sum();
            prop_assert_eq!(total, sum);
            for ((account, _), amount) in &ledger {
                let own: i128 = hours.iter().filter(|hour| account.holds(hour)).map(|hour| hour.amount.total_mg()).sum();
                prop_assert_eq!(own, amount.total_mg());
            }
        }
        let found = used(&quota(i64::MAX), &hours, at("2027-01-01T00:00:00+08:00"), &zone());
        prop_assert_eq!(found.amount.total_mg(), sum);
    }
}
