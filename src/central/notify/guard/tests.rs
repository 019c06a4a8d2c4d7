//! Which addresses are public, and that names are judged by what they lead to.

use super::*;

fn guard(hosts: &[&str], allow_private: bool, found: &[&str]) -> Guard {
    let allowed_hosts = hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
    let alerting = Alerting { allowed_hosts, allow_private, ..Alerting::default() };
    let found: Vec<IpAddr> = found.iter().map(|ip| ip.parse().unwrap()).collect();
    Guard::new(
        &alerting,
        Arc::new(move |_host| {
            let found = found.clone();
            Box::pin(async move { Ok(found) })
        }),
    )
}

#[test]
fn what_is_not_of_the_public_internet_is_known() {
    for ip in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "100::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "1.1.1.1",
        "100.63.0.1",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "8.8.8.8",
        "223.5.5.5",
        "2400:3200::1",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn an_address_in_numbers_is_judged_however_it_is_written() {
    let guard = guard(&[], false, &[]);
    for url in [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://[::1]:80/",
        "http://[::ffff:7f00:1]/",
        "https://169.254.169.254/latest/meta-data/",
    ] {
        let refusal = guard.check(&Url::parse(url).unwrap()).unwrap_err();
        assert!(refusal.0.contains("allow_private"), "{url}: {refusal}");
    }
    guard.check(&Url::parse("https://1.1.1.1/").unwrap()).unwrap();
    for url in ["ftp://1.1.1.1/", "file:///etc/passwd", "gopher://1.1.1.1/"] {
        assert!(guard.check(&Url::parse(url).unwrap()).unwrap_err().0.contains("only http"), "{url}");
    }
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_leads_to() {
    let refused = guard(&[], false, &["10.0.0.1"]).addresses("inside.example.cn", 443).await.unwrap_err();
    assert!(refused.0.contains("10.0.0.1") && refused.0.contains("allow_private"), "{refused}");
    // Of several only those are connected to that may be.
    let mixed = guard(&[], false, &["127.0.0.1", "1.1.1.1"]).addresses("both.example.cn", 443).await.unwrap();
    assert_eq!(mixed, ["1.1.1.1:443".parse().unwrap()]);
    let inside = guard(&[], true, &["10.0.0.1"]).addresses("inside.example.cn", 25).await.unwrap();
    assert_eq!(inside, ["10.0.0.1:25".parse().unwrap()]);
    let other = guard(&["*.example.cn"], true, &["1.1.1.1"]).addresses("example.org", 25).await.unwrap_err();
    assert!(other.0.contains("allowed_hosts"), "{other}");
    let nothing = guard(&[], true, &[]).addresses("nothing.example.cn", 25).await.unwrap_err();
    assert!(nothing.0.contains("no address"), "{nothing}");
}

#[tokio::test]
async fn a_name_that_nobody_answers_for_holds_a_few_lookups_and_no_more() {
    let alerting = Alerting { allow_private: true, ..Alerting::default() };
    let started = Arc::new(Mutex::new(0));
    let count = Arc::clone(&started);
    let guard = Guard::new(
        &alerting,
        Arc::new(move |host| {
            *count.lock().unwrap() += 1;
            Box::pin(async move {
                if host == "dead.example.cn" {
                    std::future::pending::<()>().await;
                }
                Ok(vec![IpAddr::from([1, 1, 1, 1])])
            })
        }),
    );
    let attempts =
        futures_util::future::join_all((0..10).map(|_| guard.addresses("dead.example.cn", 443))).await;
    let told: Vec<String> = attempts.into_iter().map(|attempt| attempt.unwrap_err().0).collect();
    let times = |word: &str| told.iter().filter(|text| text.contains(word)).count();
    assert_eq!((times("within 4 s"), times("already")), (4, 6), "{told:?}");
    assert_eq!(*started.lock().unwrap(), 4);
    guard.addresses("alive.example.cn", 443).await.unwrap();
    guard.addresses("alive.example.cn", 443).await.unwrap();
    assert!(!guard.under_way.lock().unwrap().contains_key("alive.example.cn"));
}
