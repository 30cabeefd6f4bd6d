use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The objects and the next page's token of a list that arrives in parts of at most so many bytes.
fn split(list: &[u8], part: usize) -> Result<(Vec<Value>, Option<String>)> {
    let (mut splitter, mut objects) = (ListSplitter::default(), Vec::new());
    for bytes in list.chunks(part) {
        splitter.push(bytes, |object| {
            objects.push(serde_json::from_slice(object).unwrap_or_default());
        });
    }
    Ok((objects, splitter.end()?))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        r#"[\[\]{},:"\\a\u{1F600}\n]{0,6}"#.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(r#"[\]},"\\b]{0,3}"#, inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn wherever_a_list_is_cut_its_objects_are_those_of_the_whole(
        objects in prop::collection::vec(value(), 0..6),
        next in prop::option::of("[a-z\"\\\\]{1,4}"),
        (items_last, pretty) in any::<(bool, bool)>(),
        part in 1..40_usize,
    ) {
        let metadata = json!({"resourceVersion": "7", "continue": next});
        // Go sorts the keys of lists of custom resources, and has `items` last in all others.
        let last = if items_last { "metadata" } else { "kind" };
        let mut list = json!({"items": objects, last: metadata});
        if !items_last {
            list["metadata"] = metadata;
        }
        let text = if pretty { serde_json::to_vec_pretty(&list) } else { serde_json::to_vec(&list) }?;
        prop_assert_eq!(split(&text, part)?, (objects, next));
        // One that breaks off is none.
        let cut = text.len() - part.min(text.len());
        prop_assert!(split(&text[..cut], part).is_err());
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "<html>",
        r#"{"metadata": {}}"#,
        r#"{"items": null}"#,
        r#"{"items": {}}"#,
        r#"{"items": []"#,
        r#"{"items": []}}"#,
        r#"{"items": [{]}"#,
    ] {
        assert!(split(text.as_bytes(), 3).is_err(), "{text}");
    }
}

#[test]
fn no_more_is_held_than_one_object() {
    let object = format!(r#"{{"notes": "{}"}},"#, "x".repeat(100_000));
    let mut splitter = ListSplitter::default();
    splitter.push(br#"{"items": ["#, |_| ());
    for _ in 0..100 {
        for part in object.as_bytes().chunks(1000) {
            splitter.push(part, |_| ());
        }
    }
    assert!(splitter.object.capacity() < 3 * object.len());
    assert!(splitter.frame.capacity() < 100);
}
