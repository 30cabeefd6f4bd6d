//! Any bytes on stdin.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| leasehold_fuzz::stdin(input));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    leasehold_fuzz::again(leasehold_fuzz::stdin)
}
