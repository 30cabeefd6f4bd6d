//! The plugin runs on nodes with any C library, or none: it is one file that needs no other.
//!
//! The test reads the headers of the file itself (System V ABI, "Program Header", "Dynamic
//! Section"), because `readelf` may not be installed.

use std::fs;

const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;

/// A little-endian ELF file of 64 bits, as x86-64 and arm64 have them.
struct Elf(Vec<u8>);

impl Elf {
    /// The number of `bytes` bytes at `offset`.
    fn number(&self, offset: u64, bytes: usize) -> u64 {
        let offset = usize::try_from(offset).expect("an offset into memory");
        let digits = self.0[offset..offset + bytes].iter().rev();
        digits.fold(0, |number, digit| number << 8 | u64::from(*digit))
    }

    /// Type, offset and size of each segment.
    fn segments(&self) -> Vec<(u64, u64, u64)> {
        let (table, size, count) = (
            self.number(0x20, 8),
            self.number(0x36, 2),
            self.number(0x38, 2),
        );
        let headers = (0..count).map(|index| table + index * size);
        let segment = |header| {
            (
                self.number(header, 4),
                self.number(header + 8, 8),
                self.number(header + 32, 8),
            )
        };
        headers.map(segment).collect()
    }

    /// The tags of the dynamic section, if there is one.
    fn dynamic_tags(&self) -> Vec<u64> {
        let segments = self.segments();
        let dynamic = segments.iter().find(|(kind, ..)| *kind == PT_DYNAMIC);
        let Some(&(_, offset, size)) = dynamic else {
            return Vec::new();
        };
        let tags = (0..size / 16).map(|entry| self.number(offset + entry * 16, 8));
        tags.take_while(|tag| *tag != DT_NULL).collect()
    }
}

#[test]
fn the_plugin_asks_for_no_loader_and_no_library() {
    let elf = Elf(fs::read(env!("CARGO_BIN_EXE_leasehold")).expect("the plugin"));
    assert_eq!(&elf.0[..6], b"\x7fELF\x02\x01", "64 bits, little-endian");
    let segments = elf.segments();
    assert!(segments.len() > 2, "{segments:?}");
    assert!(
        segments.iter().all(|(kind, ..)| *kind != PT_INTERP),
        "a loader"
    );
    assert!(!elf.dynamic_tags().contains(&DT_NEEDED), "a library");
}

#[test]
fn a_program_that_needs_libraries_is_recognized() {
    let elf = Elf(fs::read("/bin/sh").expect("a shell"));
    if elf.segments().iter().any(|(kind, ..)| *kind == PT_INTERP) {
        assert!(elf.dynamic_tags().contains(&DT_NEEDED));
    }
}
