//! The paths that a source file names, however they are written.

/// The paths in `text`, each with its line. Those of this crate begin with `crate`: `self` and
/// `super` are resolved for a file of the module `of`. Groups are taken apart; comments, strings
/// and what is for tests only is passed over.
pub fn paths(text: &str, of: &[&str]) -> Vec<(usize, Vec<String>)> {
    let tokens = without_tests(&tokens(text));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = path(&tokens, at, &[], &mut found).max(at + 1);
    }
    found
        .into_iter()
        .filter_map(|(line, path)| Some((line, resolved(&path, of)?)))
        .collect()
}

type Token<'t> = (usize, &'t str);

/// Reads the path that begins at a token, behind `prefix`. Returns the token behind it.
fn path<'t>(
    tokens: &[Token<'t>],
    mut at: usize,
    prefix: &[&'t str],
    found: &mut Vec<(usize, Vec<&'t str>)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.1);
    let mut path = prefix.to_vec();
    let line = tokens[at].0;
    let is_used = at > 0 && text(at - 1) == "use";
    while is_word(text(at)) {
        path.push(text(at));
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    if text(at) == "{" && !path.is_empty() && text(at.saturating_sub(1)) == "::" {
        at += 1;
        while !matches!(text(at), "}" | "") {
            at = self::path(tokens, at, &path, found).max(at + 1);
        }
        return at + 1;
    }
    let is_glob = text(at) == "*" && (path.len() > 1 || is_used);
    if path.len() > prefix.len() && (path.len() > 1 || is_used) || is_glob {
        found.push((line, path));
    }
    at + usize::from(is_glob)
}

/// The path from the crate's root; another crate's as it is written. None: there is no such module.
fn resolved(path: &[&str], of: &[&str]) -> Option<Vec<String>> {
    let path = path
        .strip_prefix(&["self"])
        .map_or_else(|| path.to_vec(), |rest| [&["crate"], of, rest].concat());
    let supers = path.iter().take_while(|word| **word == "super").count();
    let up = of.len().checked_sub(supers)?;
    let path = match supers {
        0 => path,
        _ => [&["crate"], &of[..up], &path[supers..]].concat(),
    };
    Some(path.into_iter().map(str::to_owned).collect())
}

/// Leaves out the items that are `#[cfg(test)]`.
fn without_tests<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..]
            .iter()
            .map(|token| token.1)
            .take(TEST.len())
            .eq(TEST)
        {
            let mut depth = 0;
            while let Some((_, text)) = tokens.get(at) {
                at += 1;
                match *text {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    ";" => {}
                    _ => continue,
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and every other character for itself.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = length(rest, first);
        let (token, behind) = rest.split_at(length);
        if is_word(token) || token == "::" || length == 1 && !first.is_whitespace() {
            tokens.push((line, token));
        }
        line += token.matches('\n').count();
        rest = behind;
    }
    tokens
}

/// How long the token is that `text` begins with; a comment, a string and a character are one.
fn length(text: &str, first: char) -> usize {
    let until = |end: &str, from: usize| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until("*/", 2);
    }
    if first == 'r' {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        if text[1 + hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
        }
    }
    if first == '"' {
        let mut is_escaped = false;
        let end = text[1..].find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        return end.map_or(text.len(), |end| end + 2);
    }
    if first == '\'' {
        // Else it is a lifetime.
        let mut chars = text[1..].char_indices();
        let is_escape = chars.next().is_some_and(|(_, c)| c == '\\');
        let end = if is_escape {
            text[3..].find('\'').map(|at| 3 + at)
        } else {
            chars.next().map(|(at, _)| 1 + at)
        };
        return match end {
            Some(end) if text[end..].starts_with('\'') => end + 1,
            _ => 1,
        };
    }
    if is_word(text) {
        return text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
    }
    if text.starts_with("::") {
        2
    } else {
        first.len_utf8()
    }
}

#[test]
fn a_path_is_found_however_it_is_written() {
    for (text, expected) in [
        ("use crate::a::B;", vec!["crate::a::B"]),
        (
            "use crate::{a, b::{C, d::*}, e::{*}};",
            vec!["crate::a", "crate::b::C", "crate::b::d", "crate::e"],
        ),
        ("use super::e;", vec!["crate::m::e"]),
        ("use super::{e, super::f};", vec!["crate::m::e", "crate::f"]),
        ("use super::super::g;", vec!["crate::g"]),
        ("use self::h::I;", vec!["crate::m::n::h::I"]),
        (
            "fn f() { crate::a::g::<crate::b::C>() }",
            vec!["crate::a::g", "crate::b::C"],
        ),
        ("use kube as client;", vec!["kube"]),
        ("let x: &'a kube::Client = 'y';", vec!["kube::Client"]),
        (
            "// crate::a\n/* crate::b */ \"crate::c \\\" crate::d\" r#\"crate::e\"# '\"' crate::f::g",
            vec!["crate::f::g"],
        ),
        (
            "#[cfg(test)]\nfn f() { crate::a::b() }\nuse crate::c;",
            vec!["crate::c"],
        ),
        ("#[cfg(test)]\nmod tests;\nuse crate::c;", vec!["crate::c"]),
    ] {
        let found = paths(text, &["m", "n"]);
        let found: Vec<String> = found.iter().map(|(_, path)| path.join("::")).collect();
        assert_eq!(found, expected, "{text}");
    }
}
