use proptest::prelude::*;

use super::*;
use crate::collector::tests::scene::{at, held, name};

fn now(second: i64) -> Now {
    Now {
        server: Some(at(second)),
        own: at(second),
    }
}

/// A mark with everything that it may say.
fn full(last: u8) -> Mark {
    Mark {
        gone: Some(Gone {
            since: at(-40),
            heartbeat: Some("77".into()),
            contact: Some(at(-30)),
            node_absent: Some(at(-20)),
        }),
        ..Mark::new(&held(last, "u"), at(-50))
    }
}

fn marks(marks: Vec<(u8, Mark)>) -> MarkTable {
    let mut all = MarkTable::default();
    for (last, mark) in marks {
        assert!(all.set(name(last), mark));
    }
    all
}

#[test]
fn a_mark_is_one_line_that_a_person_can_read() {
    let pages = marks(vec![(1, full(1))]).write(at(0));
    let line = &pages[0]["10.0.0.1"];
    assert_eq!(
        line,
        "uid=lease-1 version=1 since=1970-01-12T13:45:50Z goneSince=1970-01-12T13:46:00Z heartbeat=77 \
         contactSince=1970-01-12T13:46:10Z nodeAbsentSince=1970-01-12T13:46:20Z"
    );
}

#[test]
fn marks_count_for_a_quarter_of_an_hour_after_the_last_run_that_confirmed_them() {
    let pages = marks(vec![(1, full(1)), (2, full(2))]).write(at(0));
    for (second, stale) in [(0, 0), (900, 0), (901, 2)] {
        let (read, void) = MarkTable::read(&pages, &now(second));
        assert_eq!(void.stale, stale, "after {second} s");
        assert_eq!(read.len(), 2 - stale, "after {second} s");
    }
    let server_is_silent = Now {
        server: None,
        own: at(0),
    };
    assert!(MarkTable::read(&pages, &server_is_silent).0.is_empty());
}

#[test]
fn a_mark_that_lies_in_the_future_is_void() {
    let future = |change: fn(&mut Mark)| {
        let mut mark = full(1);
        change(&mut mark);
        marks(vec![(1, mark)]).write(at(0))
    };
    for change in [
        (|mark| mark.since = at(1)) as fn(&mut Mark),
        |mark| mark.gone.as_mut().expect("gone").since = at(1),
        |mark| mark.gone.as_mut().expect("gone").contact = Some(at(1)),
        |mark| mark.gone.as_mut().expect("gone").node_absent = Some(at(1)),
    ] {
        let (read, void) = MarkTable::read(&future(change), &now(0));
        assert_eq!((read.len(), void.future), (0, 1));
    }
    let confirmed_in_the_future = marks(vec![(1, full(1))]).write(at(1));
    let (read, void) = MarkTable::read(&confirmed_in_the_future, &now(0));
    assert_eq!((read.len(), void.future), (0, 1));
}

#[test]
fn what_can_not_be_read_is_no_mark() {
    let good = full(1).write();
    for (key, text) in [
        ("10.0.0.999", good.clone()),
        ("10.0.0.1", String::new()),
        ("10.0.0.1", "uid=u version=1".to_owned()),
        ("10.0.0.1", "uid=u since=1970-01-12T13:46:00Z".to_owned()),
        (
            "10.0.0.1",
            good.replace("contactSince=1970", "contactSince=soon"),
        ),
        ("10.0.0.1", good.replace("uid=", "uid ")),
    ] {
        let page = Page::from([
            (key.to_owned(), text.clone()),
            (CONFIRMED.to_owned(), seconds(at(0))),
        ]);
        let (read, void) = MarkTable::read(&[page], &now(0));
        assert_eq!((read.len(), void.unreadable), (0, 1), "{key}: {text}");
    }
}

#[test]
fn marks_that_no_run_has_confirmed_in_a_readable_way_are_none() {
    for confirmed in [None, Some("yesterday")] {
        let mut page = Page::from([("10.0.0.1".to_owned(), full(1).write())]);
        page.extend(confirmed.map(|at| (CONFIRMED.to_owned(), at.to_owned())));
        let (read, void) = MarkTable::read(&[page], &now(0));
        assert_eq!((read.len(), void.unreadable), (0, 1), "{confirmed:?}");
    }
}

#[test]
fn a_mark_is_of_one_version_of_one_object() {
    let marks = marks(vec![(1, full(1))]);
    assert!(marks.of(&held(1, "u")).is_some());
    let mut written = held(1, "u");
    written.version = "2".into();
    assert!(marks.of(&written).is_none());
    let mut recreated = held(1, "u");
    recreated.uid = "another".into();
    assert!(marks.of(&recreated).is_none());
    assert!(marks.of(&held(2, "u")).is_none());
}

#[test]
fn a_missing_lease_is_remembered_for_one_pod() {
    let mut marks = MarkTable::default();
    let (pod, since) = ("pod-uid".into(), at(-60));
    assert!(marks.set_missing(name(1), MissingMark { pod, since }));
    let (read, _) = MarkTable::read(&marks.write(at(0)), &now(0));
    assert_eq!(read, marks);
    assert!(read.of_missing(&name(1), &"pod-uid".into()).is_some());
    assert!(read.of_missing(&name(1), &"other".into()).is_none());
    assert!(read.of_missing(&name(2), &"pod-uid".into()).is_none());
}

#[test]
fn there_are_no_more_marks_than_five_config_maps_can_take() {
    let mut marks = MarkTable::default();
    let long_vrf = "v".repeat(63);
    let name = |number: u32| -> LeaseName {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        format!("{long_vrf}.{address}").parse().expect("a name")
    };
    for number in 0..u32::try_from(MOST).expect("a number") {
        assert!(marks.set(name(number), full(1)));
    }
    assert!(
        !marks.set(name(20_001), full(1)),
        "there is no room for more"
    );
    let pages = marks.write(at(0));
    for page in &pages {
        let bytes: usize = page.iter().map(|(key, text)| key.len() + text.len()).sum();
        assert!(
            bytes < 1 << 20 && page.len() <= PER_PAGE + 1,
            "{bytes} bytes"
        );
    }
    assert_eq!(MarkTable::read(&pages, &now(0)).0, marks);
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (-100_000..=0_i64).prop_map(at)
}

fn any_mark() -> impl Strategy<Value = Mark> {
    let gone = (
        any_time(),
        prop::option::of("[0-9]{1,12}"),
        prop::option::of(any_time()),
        prop::option::of(any_time()),
    );
    let gone = gone.prop_map(|(since, heartbeat, contact, node_absent)| Gone {
        since,
        heartbeat: heartbeat.map(String::into_boxed_str),
        contact,
        node_absent,
    });
    (
        "[a-f0-9-]{1,36}",
        "[0-9]{1,12}",
        any_time(),
        prop::option::of(gone),
    )
        .prop_map(|(uid, version, since, gone)| Mark {
            uid: uid.into(),
            version: version.into(),
            since,
            gone,
        })
}

proptest! {
    #[test]
    fn marks_are_read_as_they_were_written(all in prop::collection::btree_map(any::<u8>(), any_mark(), 0..30)) {
        let marks = marks(all.into_iter().collect());
        let (read, void) = MarkTable::read(&marks.write(at(0)), &now(0));
        prop_assert_eq!(read, marks);
        prop_assert_eq!(void, Void::default());
    }

    #[test]
    fn no_text_makes_it_panic(key: String, text: String, confirmed: String) {
        let page = Page::from([(key, text), (CONFIRMED.to_owned(), confirmed)]);
        let _ = MarkTable::read(&[page], &now(0));
    }
}
