//! Enums whose variants have a word each, for machines: the compiler makes the list of all of them.

/// Defines an enum with `ALL`, every variant in order, and `label`, the word of each.
macro_rules! labeled {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$of:meta])* $variant:ident = $label:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// Every one, so that each has its figure from the start.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// One word for machines.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    };
}

pub(super) use labeled;
