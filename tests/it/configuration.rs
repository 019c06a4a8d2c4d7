//! What a gateway or the plant says of a channel is changed while readings flow: each record tells under which configuration it
//! was made, each figure is by what was in force at its tick, and nothing is different without a trace.

use cems::central::verify::{Question, verify};
use cems::clock;
use cems::config::catalogue;
use cems::config::kind::Source;
use cems::config::seeds;
use cems::mqtt::record::Hash;
use cems::store::plant;
use jiff::{SignedDuration, Timestamp};

use crate::support::centre::seed_with;
use crate::support::chain::Chain;
use crate::support::wait::wait_until;
use crate::support::world::{LIMIT, Sender, kiln, world};

const KILN: &str = "demo-cement-kiln";
/// Two words that are numbers within the channel's range in either order.
const ABCD: u32 = 0x4270_4248;
const CDAB: u32 = 0x4248_4270;

fn bits(of: u32) -> f64 {
    f64::from(f32::from_bits(of))
}

/// SO2 and dust of every stored scan of the kiln, with the number and the configuration of its record.
async fn scans(chain: &Chain, from: Timestamp) -> Vec<(i64, Hash, Option<f64>, Option<f64>)> {
    let sql = "SELECT x.seq, p.cfg, max(r.measured) FILTER (WHERE r.channel = 'a21026'), max(r.measured) FILTER (WHERE r.channel = 'a34013') \
               FROM scan x JOIN provenance p ON p.id = x.provenance_id JOIN outlet o ON o.id = x.outlet_id \
               JOIN reading r ON r.outlet = o.code AND r.measured_at = x.measured_at \
               WHERE o.code = 'demo-cement-kiln' AND x.measured_at >= $1 GROUP BY x.seq, p.cfg ORDER BY x.seq";
    let rows = chain.client.query(sql, &[&from]).await.unwrap();
    let hash = |bytes: Vec<u8>| Hash(bytes.try_into().unwrap());
    rows.iter().map(|row| (row.get(0), hash(row.get(1)), row.get(2), row.get(3))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn word_order_and_scaling_that_change_are_told_and_every_record_names_its_own() {
    let mut chain = Chain::start("").await;
    let control = chain.plant.control();
    control.hold(KILN, "a21026", bits(ABCD)).unwrap();
    let held = control.hold(KILN, "a34013", 3.0).unwrap();
    chain.plant.runs_for(4).await;
    chain.plant.stop_gateway().await;
    let before = chain.plant.configuration().to_owned();
    let of_so2 = "code = \"a21026\"\nregister = 0\ntable = \"input\"\ntype = \"f32\"\norder = \"ABCD\"";
    let of_dust = "code = \"a34013\"\nregister = 100\ntype = \"u16\"\nscale = 0.01";
    assert!(before.contains(of_so2) && before.contains(of_dust), "{before}");
    let after = before
        .replace(of_so2, &of_so2.replace("ABCD", "CDAB"))
        .replace(of_dust, &of_dust.replace("0.01", "0.02"));
    chain.plant.configure(after.clone());
    chain.plant.start_gateway().await;
    chain.plant.runs_for(4).await;
    chain.plant.stop_gateway().await;
    chain.plant.start_gateway().await;
    chain.plant.all_receipted(LIMIT).await;

    let (before, after) = (Hash::of(before.as_bytes()), Hash::of(after.as_bytes()));
    let sql = "SELECT e.seq, e.detail::jsonb->>'previous', e.detail::jsonb->>'current', p.cfg FROM event e \
               JOIN provenance p ON p.id = e.provenance_id WHERE e.event = 'configuration'";
    let told = chain.client.query(sql, &[]).await.unwrap();
    assert_eq!(told.len(), 1, "the second start has nothing to tell");
    let number: i64 = told[0].get(0);
    assert_eq!(told[0].get::<_, String>(1), before.to_string());
    assert_eq!(told[0].get::<_, String>(2), after.to_string());
    assert_eq!(told[0].get::<_, Vec<u8>>(3), after.0);
    // A tick after the hand was on the analysers shows it.
    let scans = scans(&chain, held + SignedDuration::from_secs(1)).await;
    let mut seen = (0, 0);
    for (seq, cfg, so2, dust) in scans {
        let (of, expected) = if seq < number { (before, (ABCD, 3.0)) } else { (after, (CDAB, 6.0)) };
        assert_eq!(cfg, of, "record {seq}");
        // An analyser that is asked while the gateway ends or begins may have no answer: then there is no value.
        assert!(so2.is_none_or(|so2| so2 == bits(expected.0)), "record {seq}: {so2:?}");
        assert!(dust.is_none_or(|dust| (dust - expected.1).abs() < 1e-9), "record {seq}: {dust:?}");
        if so2.is_some() && dust.is_some() {
            if seq < number { seen.0 += 1 } else { seen.1 += 1 }
        }
    }
    assert!(seen.0 >= 2 && seen.1 >= 2, "{seen:?}");
    let sql = "SELECT count(*) FROM event e JOIN provenance p ON p.id = e.provenance_id WHERE (e.seq < $1) <> (p.cfg = $2)";
    let wrong: i64 = chain.client.query_one(sql, &[&number, &before.0.as_slice()]).await.unwrap().get(0);
    assert_eq!(wrong, 0, "events too name the configuration that they were made under");
    chain.plant.stop_gateway().await;
    chain.centre.shut().await;
    let plant = plant::load(&chain.client).await.unwrap();
    let question = Question { plant: &plant, gateway: "gw-demo", range: None, heads: &[], now: clock::now() };
    let report = verify(&chain.client, &question, &mut |_, _| {}).await.unwrap();
    assert!(report.clean && report.epochs.len() == 1, "{report}");
}

/// The demonstration's plant with another range of the kiln's SO2 from `at` on; at any time when there is none.
fn range(at: Option<Timestamp>, high: u32) -> Source {
    let Source { file, text } = seeds::demonstration();
    let start =
        text.find("code = \"a21026\"\nfrom = \"2020-01-01T00:00:00+08:00\"\nanalyser = \"gas\"").unwrap();
    let start = text[..start].rfind("[[outlet.channel]]").unwrap();
    let end = start + text[start..].find("\n\n").unwrap();
    let entry = &text[start..end];
    assert!(entry.contains("range = [0, 300]"), "{entry}");
    let other = entry.replace("range = [0, 300]", &format!("range = [0, {high}]"));
    let other = match at {
        None => other,
        Some(at) => {
            let from = "from = \"2020-01-01T00:00:00+08:00\"";
            format!("{entry}\n\n{}", other.replace(from, &format!("from = \"{at}\"")))
        }
    };
    Source { file, text: format!("{}{other}{}", &text[..start], &text[end..]) }
}

/// Something that shows over HTTP when the centre has taken the plant.
const SIGN: &str = "schema = \"rules/1\"\n[[rule]]\ncode = \"sign\"\nname = \"test\"\ndocument = \"test\"\nclause = \"1\"\nmark = \"M\"\n\
    kind = \"assessment\"\ndivision = \"\"\nprocess = \"cement-kiln\"\npollutant = \"a21026\"\nlimit = 900\nperiod = \"hour\"\n\
    reference_oxygen_percent = 10\ncomparison = \"full-value\"\nfrom = \"2020-01-01T00:00:00+08:00\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_range_holds_from_its_own_time_on_and_never_backwards() {
    let world = world("[windows]\ndebounce_ms = 100\nsettle_ms = 100\n").await;
    let mut sender = Sender::connect(world.broker.port()).await;
    // The tick from which on the analyser is set to 50 mg/m3, in the middle of a minute; some scans of before it come late.
    let minute = Timestamp::from_second((clock::now().as_second() / 60 - 3) * 60).unwrap();
    let change = minute + SignedDuration::from_secs(30);
    let mut lines: Vec<Vec<u8>> =
        (0..60).map(|i| sender.record(minute + SignedDuration::from_secs(i), &kiln(60.0, 10.0))).collect();
    let late = lines.split_off(10);
    sender.publish("live", 0, &lines).await;
    sender.receipted(0..10).await;

    // What is stored is never changed: a new value without a time of its own is refused whole.
    let mut client = world.database.client().await;
    let parsed = |plant: Source| {
        let sources = [seeds::pollutants(), seeds::rules(), plant];
        catalogue::parse(&sources).unwrap_or_else(|problems| panic!("{problems}"))
    };
    let refused = plant::save(&mut client, &parsed(range(None, 50))).await.unwrap_err().to_string();
    assert!(refused.contains("a21026") && refused.contains("nothing was saved"), "{refused}");
    seed_with(&mut client, range(Some(change), 50), &[("sign.toml", SIGN.to_owned())]).await;
    wait_until(LIMIT, "the centre to have the plant", || async {
        let http = cems::central::notify::webhook::client().unwrap();
        let text = http.get(world.centre.url("/api/v1/outlets")).send().await.unwrap().text().await.unwrap();
        if text.contains("\"sign\"") { Ok(()) } else { Err("not yet") }
    })
    .await;
    sender.publish("backfill", 10, &late).await;
    assert!(sender.receipted(10..60).await.is_empty());

    let sql = "SELECT measured_at, measured, flag, device_flag FROM reading WHERE outlet = 'demo-cement-kiln' AND channel = 'a21026'";
    let rows = world.client.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 60);
    for row in rows {
        let at: Timestamp = row.get(0);
        assert_eq!(
            (row.get::<_, Option<f64>>(1), row.get::<_, &str>(3)),
            (Some(60.0), "N"),
            "as it was measured"
        );
        assert_eq!(row.get::<_, &str>(2), if at < change { "N" } else { "T" }, "{at}");
    }
    wait_until(LIMIT, "the minute of the change", || async {
        let sql = "SELECT measured, n_valid::int FROM average WHERE outlet = 'demo-cement-kiln' AND channel = 'a21026' \
                   AND period = 'minute' AND start = $1";
        let row = world.client.query_opt(sql, &[&minute]).await.unwrap();
        let found = row.map(|row| (row.get::<_, Option<f64>>(0), row.get::<_, i32>(1)));
        if found == Some((Some(60.0), 30)) { Ok(()) } else { Err(found) }
    })
    .await;
    world.centre.stop().await;
}
