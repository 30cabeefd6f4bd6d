//! The bodies of the fuzz targets on noise, and on seeds with a stretch of them replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

/// The seeds of `cargo fuzz`.
fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = fs::read_dir(folder).expect("a folder of seeds");
    let seeds: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(!seeds.is_empty());
    seeds
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

/// Malformed texts that get further than noise does.
fn damaged(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop_oneof![
        noise(),
        "[{}\\[\\]\",:0-9a-f;=./\\\\!\n-]{0,12}".prop_map(String::into_bytes),
    ];
    let read = |seed: &PathBuf| fs::read(seed).expect("a seed");
    let seed = prop::sample::select(seeds(target).iter().map(read).collect::<Vec<_>>());
    (seed, any::<prop::sample::Index>(), 0..40_usize, scrap).prop_map(|(seed, at, len, scrap)| {
        let start = at.index(seed.len() + 1);
        let end = (start + len).min(seed.len());
        [&seed[..start], &scrap, &seed[end..]].concat()
    })
}

proptest! {
    #[test]
    fn any_stdin_is_answered(input in prop_oneof![noise(), damaged("stdin")]) {
        leasehold_fuzz::stdin(&input);
    }

    #[test]
    fn any_cni_args_are_answered(input in prop_oneof![noise(), damaged("cni_args")]) {
        leasehold_fuzz::cni_args(&input);
    }

    #[test]
    fn a_pool_gives_nothing_outside_its_ranges(input in prop_oneof![noise(), damaged("ranges")]) {
        leasehold_fuzz::ranges(&input);
    }
}

#[test]
fn each_seed_holds_without_the_fuzzer() {
    for (target, program) in [
        ("stdin", env!("CARGO_BIN_EXE_stdin")),
        ("cni_args", env!("CARGO_BIN_EXE_cni_args")),
        ("ranges", env!("CARGO_BIN_EXE_ranges")),
    ] {
        let status = Command::new(program).args(seeds(target)).status();
        assert!(status.expect("a program").success(), "{target}");
    }
}
