//! Who may ask, and what the log says of it.

use content_http::{AccessLog, LogForm, LogTarget, Policy, Trouble};

use crate::harness::{Site, noise, until};

fn site(allow: &[&str], trusted: &[&str]) -> Site {
    let site = Site::empty(|settings| {
        let policy = &mut settings.listeners[0].policy;
        policy.allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        policy.trusted_proxies = trusted.iter().map(|text| text.parse().unwrap()).collect();
    });
    site.publish("broad", &[("/a", b"A")]);
    site
}

#[test]
fn an_allow_list_lets_nobody_else_in_v33() {
    let site = site(&["10.0.0.0/8"], &[]);
    let mut client = site.connect();
    let _ = std::io::Write::write_all(
        &mut client.stream,
        b"GET /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    );
    assert!(client.answer().is_err());
    until(|| site.server.stats().trouble(Trouble::Denied) == 1);

    let all = Policy::default();
    site.server.reload(std::slice::from_ref(&all)).unwrap();
    assert_eq!(site.get("/a", "").status, 200);
    assert!(site.server.reload(&[all.clone(), all]).is_err());
    assert!(site.server.reload(&[Policy { path_prefix: "x y".into(), ..Policy::default() }]).is_err());
    assert_eq!(site.get("/a", "").status, 200);
}

#[test]
fn a_trusted_proxy_speaks_for_its_clients_v05_v33() {
    let site = site(&["10.0.0.0/8"], &["127.0.0.1"]);
    for (header, status) in [
        ("X-Forwarded-For: 10.0.0.1\r\n", 200),
        ("X-Forwarded-For: ::ffff:10.0.0.1\r\n", 200),
        ("X-Forwarded-For: 192.0.2.1\r\n", 403),
        ("X-Forwarded-For: 10.0.0.1, 192.0.2.1\r\n", 403),
        ("X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 192.0.2.1\r\n", 403),
        ("X-Forwarded-For: nonsense\r\n", 403),
        ("Forwarded: for=10.0.0.1\r\n", 200),
        ("Forwarded: for=192.0.2.1\r\n", 403),
        ("X-Forwarded-For: 192.0.2.1\r\nForwarded: for=10.0.0.1\r\n", 403),
        ("X-Real-IP: 10.0.0.1\r\n", 403),
        ("", 403),
    ] {
        assert_eq!(site.get("/a", header).status, status, "{header}");
    }
}

#[test]
fn the_access_log_has_a_line_for_each_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let big = noise(1, 100_000);
    let site = Site::empty(|settings| {
        let target = LogTarget::File { path: path.clone(), rotate_bytes: 0, keep: 0 };
        settings.access_log = Some(AccessLog { target, form: LogForm::Text });
    });
    site.publish("broad", &[("/a", b"A"), ("/big", &big)]);
    site.get("/a?secret=1", "User-Agent: x\"y\\\tz\r\n");
    site.get("/big", "");
    site.get("/nowhere", "");
    site.raw(b"nonsense\r\n\r\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(site.server.drain(std::time::Duration::from_secs(5)));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "1994-11-06T08:49:37Z 127.0.0.1 - GET 200 1 0ms whole \"/a\" \"x\\x22y\\x5c\\x09z\"");
    assert_eq!(lines[1], "1994-11-06T08:49:37Z 127.0.0.1 - GET 200 100000 0ms whole \"/big\" \"\"");
    assert_eq!(lines[2], "1994-11-06T08:49:37Z 127.0.0.1 - GET 404 0 0ms whole \"/nowhere\" \"\"");
    assert_eq!(lines[3], "1994-11-06T08:49:37Z 127.0.0.1 - - 400 0 0ms whole \"\" \"\"");
    assert_eq!(lines.len(), 4);
}

#[test]
fn every_answer_that_is_counted_has_its_line_s32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let site = Site::empty(|settings| {
        let target = LogTarget::File { path: path.clone(), rotate_bytes: 0, keep: 0 };
        settings.access_log = Some(AccessLog { target, form: LogForm::Text });
    });
    site.publish("broad", &[("/big", &noise(1, 100_000))]);
    for _ in 0..200 {
        let mut client = site.connect();
        let _ = std::io::Write::write_all(&mut client.stream, b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
        // Gone before, while or after it is answered.
        socket2::SockRef::from(&client.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
    until(|| site.server.stats().connections_open == 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(site.server.drain(std::time::Duration::from_secs(5)));
    let lines = std::fs::read_to_string(&path).unwrap().lines().count() as u64;
    assert_eq!(lines, site.server.stats().answered(200));
}

#[test]
fn new_rules_hold_for_the_next_request_of_open_connections_v33() {
    let site = site(&[], &[]);
    let mut open = site.connect();
    let mut asked = |path: &str| {
        open.get(path, "");
        open.answer().map(|answer| answer.status).ok()
    };
    assert_eq!(asked("/a"), Some(200));
    let rules = |allow: &str, prefix: &str| Policy {
        allow: vec![allow.parse().unwrap()],
        path_prefix: prefix.to_owned(),
        ..Policy::default()
    };
    site.server.reload(&[rules("10.0.0.0/8", "/")]).unwrap();
    assert_eq!(asked("/a"), Some(403), "whoever may no longer ask");
    site.server.reload(&[rules("127.0.0.1", "/mirror")]).unwrap();
    assert_eq!((asked("/a"), asked("/mirror/a")), (Some(404), Some(200)));
    let heard_by_proxies = Policy {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        proxy_protocol: true,
        ..rules("127.0.0.1", "/mirror")
    };
    site.server.reload(&[heard_by_proxies]).unwrap();
    assert_eq!(asked("/mirror/a"), None, "what it would have had to show first was never seen");
}

#[test]
fn a_secret_that_is_taken_away_after_new_rules_lets_nobody_in_v34() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let lines = |names: &[&str]| -> String {
        names.iter().map(|name| format!("{name}:{}\n", model::Digest::of(name.as_bytes()))).collect()
    };
    std::fs::write(&file, lines(&["one", "two"])).unwrap();
    let site = Site::empty(|settings| settings.listeners[0].policy.credentials = Some(file.clone()));
    site.publish("broad", &[("/a", b"A")]);
    let mut open = site.connect();
    let mut asked = || {
        open.get("/a", "Authorization: Bearer one\r\n");
        open.answer().unwrap().status
    };
    assert_eq!(asked(), 200);
    site.server.reload(&[Policy { credentials: Some(file.clone()), ..Policy::default() }]).unwrap();
    assert_eq!(asked(), 200);
    std::fs::write(&file, lines(&["two"])).unwrap();
    until(|| {
        site.server.nudge();
        asked() == 401
    });
}

#[test]
fn a_file_of_credentials_in_use_anywhere_keeps_no_rules_out_v34() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let line = |name: &str| format!("{name}:{}\n", model::Digest::of(name.as_bytes()));
    std::fs::write(&file, line("one")).unwrap();
    let asks = || Policy { credentials: Some(file.clone()), ..Policy::default() };
    let site = Site::empty(|settings| {
        settings.listeners[0].policy = asks();
        let bind = content_http::Bind::Address("127.0.0.1:0".parse().unwrap());
        settings.listeners.push(content_http::Listener { bind, policy: Policy::default() });
    });
    site.publish("broad", &[("/a", b"A")]);
    let asked = |listener: usize, name: &str| {
        let stream = std::net::TcpStream::connect(site.server.local_addresses()[listener]).unwrap();
        let mut client = crate::harness::Client::new(stream);
        client.get("/a", &format!("Authorization: Bearer {name}\r\n"));
        client.answer().unwrap().status
    };
    std::fs::write(&file, "nonsense").unwrap();
    site.server.reload(&[asks(), asks()]).unwrap();
    assert_eq!([asked(0, "one"), asked(1, "one"), asked(1, "two")], [200, 200, 401]);
    // Both follow it on.
    std::fs::write(&file, line("two")).unwrap();
    until(|| {
        site.server.nudge();
        [asked(0, "two"), asked(1, "two"), asked(1, "one")] == [200, 200, 401]
    });
    // What was not in use has to be good.
    let new = folder.path().join("new");
    std::fs::write(&new, "nonsense").unwrap();
    assert!(site.server.reload(&[asks(), Policy { credentials: Some(new), ..Policy::default() }]).is_err());
}
