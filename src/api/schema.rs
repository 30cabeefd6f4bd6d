//! What one field may hold: its bounds, and the rules that need no other field.
//!
//! A rule that needs a second field is in [`rules`](super::rules). Only one rule reports each
//! fault, with what to write instead; the API server puts path and value in front.

use kube::core::{Rule, cel::validate};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Items of a list: with items of [`SPAN`] characters, as many as the API server's limit on the
/// cost of rules admits.
const MAX_ITEMS: u32 = 1024;
/// Routes of a pool: a pod gets all of them.
pub(super) const MAX_ROUTES: u32 = 256;
/// A day. For longer, use a ReservedIP.
pub(super) const MAX_COOLDOWN_SECONDS: i64 = 86_400;

/// Addresses of each family in a claim: its list is one object, and a call reads all its leases.
pub const MAX_CLAIM_SIZE: u32 = 1024;

/// The longest address: `ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff`.
const ADDRESS: u32 = 39;
/// The longest CIDR: the longest address with `/128`.
const CIDR: u32 = ADDRESS + 4;
/// The longest range: two addresses and a hyphen.
const SPAN: u32 = 2 * ADDRESS + 1;
/// A DNS label, such as the name of a namespace and the value of a label.
const LABEL: u32 = 63;
/// A DNS subdomain, such as the names of most objects.
const SUBDOMAIN: u32 = 253;

/// An immutable subnet.
pub(super) fn subnet(_: &mut SchemaGenerator) -> Schema {
    string(
        CIDR,
        [
            canonical_cidr(),
            Rule::new("self == oldSelf")
                .message("a subnet can't change: create another object for the new one"),
        ],
    )
}

fn canonical_cidr() -> Rule {
    Rule::new("isCIDR(self) && string(cidr(self).masked()) == self").message(expression(
        "isCIDR(self) ? 'this CIDR is not in canonical form: write %s'.format([string(cidr(self).masked())]) \
         : 'this is not a CIDR: write an address and a prefix length, for example 10.6.0.0/16 or fd00:6::/64'",
    ))
}

/// An address in any form.
pub(super) fn address(_: &mut SchemaGenerator) -> Schema {
    string(ADDRESS, [is_address()])
}

/// An immutable address in canonical form: two names for one address would be two leases of it.
pub(super) fn address_of_its_own(_: &mut SchemaGenerator) -> Schema {
    string(
        ADDRESS,
        [
            is_address(),
            Rule::new("!isIP(self) || ip.isCanonical(self)").message(expression(
                "'this address is not in canonical form: write %s'.format([string(ip(self))])",
            )),
            Rule::new("self == oldSelf")
                .message("the address of a lease can't change: create a lease of the other one"),
        ],
    )
}

fn is_address() -> Rule {
    Rule::new("isIP(self)").message(
        "this is not an address: write one without a prefix length, for example 10.6.0.1 or fd00:6::1",
    )
}

/// A VRF.
pub(super) fn vrf(_: &mut SchemaGenerator) -> Schema {
    text_of_vrf([])
}

/// An immutable VRF, also from and to none.
pub(super) fn vrf_of_its_own(_: &mut SchemaGenerator) -> Schema {
    text_of_vrf([Rule::new("self == oldSelf").message(
        "the vrf can't be changed, added or removed: create another object in the other vrf",
    )])
}

fn text_of_vrf(more: impl IntoIterator<Item = Rule>) -> Schema {
    let label = Rule::new("self == '' || self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "a vrf is a-z, 0-9 and \"-\", the first a letter, the last no \"-\": for example blue or vrf-7",
    );
    let mut schema = string(LABEL, std::iter::once(label).chain(more));
    // With a default the field always exists, so rules need not check that.
    schema.insert("default".to_owned(), "".into());
    schema
}

/// A list of addresses, ranges and CIDRs. CEL cannot compare IPv6 addresses, so their order is not
/// checked here.
pub(super) fn spans(_: &mut SchemaGenerator) -> Schema {
    list(&string(
        SPAN,
        [
            Rule::new("self.contains('/') ? isCIDR(self) : !self.contains('-') ? isIP(self) \
                 : isIP(self.substring(0, self.indexOf('-'))) && isIP(self.substring(self.indexOf('-') + 1))")
                .message(
                    "this is neither an address, nor a range, nor a CIDR: write for example 10.6.0.9, \
                     10.6.0.10-10.6.0.99 or 10.6.1.0/24, without spaces",
                ),
            Rule::new("!isCIDR(self) || string(cidr(self).masked()) == self").message(expression(
                "'this CIDR is not in canonical form: write %s for all of it, %s for the one address'\
                 .format([string(cidr(self).masked()), string(cidr(self).ip())])",
            )),
            Rule::new("!self.matches('^([0-9.]+-[^-]*:[^-]*|[^-]*:[^-]*-[0-9.]+)$')")
                .message("this range begins in one address family and ends in the other: write two ranges"),
            Rule::new(
                "!self.matches('^([0-9]{1,3}[.]){3}[0-9]{1,3}-([0-9]{1,3}[.]){3}[0-9]{1,3}$') \
                 || [self.replace('-', '.').split('.').map(o, int(o))].all(o, \
                 o[0] * 16777216 + o[1] * 65536 + o[2] * 256 + o[3] <= o[4] * 16777216 + o[5] * 65536 + o[6] * 256 + o[7])",
            )
            .message(expression(
                "'this range ends before it begins: write ' + self.split('-')[1] + '-' + self.split('-')[0]",
            )),
        ],
    ))
}

/// The destination of a route, in canonical form, which makes it unique in its list.
pub(super) fn destination(_: &mut SchemaGenerator) -> Schema {
    string(
        CIDR,
        [
            canonical_cidr(),
            Rule::new("!isCIDR(self) || cidr(self).prefixLength() > 0")
                .message("a default route is not written here: set gateway instead"),
        ],
    )
}

/// A list of namespaces.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    list(&string(
        LABEL,
        [Rule::new("!format.dns1123Label().validate(self).hasValue()").message(
            "this can't be the name of a namespace: write exact names, one to an item; a pattern is for namespaceAffinity",
        )],
    ))
}

/// What a claim may name.
pub(super) fn claim_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Pod", "IPClaim"]})
}

/// A list of nodes.
pub(super) fn nodes(_: &mut SchemaGenerator) -> Schema {
    list(&string(
        SUBDOMAIN,
        [Rule::new("!format.dns1123Subdomain().validate(self).hasValue()").message(
            "this can't be the name of a node: write exact names, one to an item; a pattern is for nodeAffinity",
        )],
    ))
}

/// A list of pools.
pub(super) fn pool_names(_: &mut SchemaGenerator) -> Schema {
    let mut schema = list(&string(
        SUBDOMAIN,
        [
            Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
                .message("this can't be the name of a pool: write exact names, one to an item"),
        ],
    ));
    schema.insert("maxItems".to_owned(), 64.into());
    schema
}

/// The addresses of a set, of both families.
pub(super) fn members(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 2 * MAX_CLAIM_SIZE,
        "items": string(ADDRESS, [is_address()]),
    })
}

/// Some of a pool's free addresses.
pub(super) fn sample(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "items": {"type": "string", "maxLength": ADDRESS},
    })
}

/// A list of network attachments.
pub(super) fn attachments(_: &mut SchemaGenerator) -> Schema {
    list(&string(
        LABEL + 1 + SUBDOMAIN,
        [Rule::new(
            "self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')",
        )
        .message(
            "this can't be a network attachment: write namespace/name, for example kube-system/macvlan-100, \
             or the name alone",
        )],
    ))
}

/// A label selector, with the rules that the API server has for its own.
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    let mut requirement = json_schema!({
        "description": "A condition on one label.",
        "type": "object",
        "required": ["key", "operator"],
        "properties": {
            "key": {
                "description": "The label's key.",
                "type": "string",
                "minLength": 1,
                "maxLength": SUBDOMAIN + 1 + LABEL,
            },
            "operator": {
                "description": "In, NotIn, Exists or DoesNotExist.",
                "type": "string",
                "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
            },
            "values": {
                "description": "One of these (In) or none of these (NotIn); not for Exists and DoesNotExist.",
                "type": "array",
                "maxItems": MAX_ITEMS,
                "items": {"type": "string", "maxLength": LABEL},
            },
        },
    });
    ruled(
        &mut requirement,
        [Rule::new(
            "self.operator in ['In', 'NotIn'] == (has(self.values) && self.values.size() > 0)",
        )
        .message("In and NotIn need values, Exists and DoesNotExist have none")],
    );
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be there with these values.",
                "type": "object",
                "maxProperties": 64,
                "additionalProperties": {"type": "string", "maxLength": LABEL},
            },
            "matchExpressions": {
                "description": "Conditions that must all hold, beside matchLabels.",
                "type": "array",
                "maxItems": 64,
                "items": requirement,
            },
        },
    })
}

/// What bounds a time: keys of its schema. The API server's own check of the format admits years
/// that other readers can't parse, and texts that its own rules can't.
pub(super) fn time() -> [(&'static str, Value); 2] {
    const YEARS: &str =
        "self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')";
    let years = json!({
        "rule": YEARS,
        "message": "this time is out of range: write one from 1970 to 9998, for example 2026-01-31T12:00:00.000000Z",
    });
    [
        ("maxLength", 35.into()),
        ("x-kubernetes-validations", json!([years])),
    ]
}

/// The conditions of an object, with the bounds of Kubernetes' own types.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    let text = |description: &str, longest: u32| json!({"description": description, "type": "string", "maxLength": longest});
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": text("The type of the condition.", 316),
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": text("The reason of the status, in one word.", 1024),
                "message": text("The reason of the status, for people to read.", 32_768),
                "lastTransitionTime": {
                    "description": "When the status changed last.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "The generation of the object that the condition was set for.",
                    "type": "integer",
                    "format": "int64",
                },
            },
        },
    })
}

fn string(longest: u32, rules: impl IntoIterator<Item = Rule>) -> Schema {
    let mut schema = json_schema!({"type": "string", "maxLength": longest});
    ruled(&mut schema, rules);
    schema
}

fn list(items: &Schema) -> Schema {
    json_schema!({"type": "array", "maxItems": MAX_ITEMS, "items": items})
}

fn ruled(schema: &mut Schema, rules: impl IntoIterator<Item = Rule>) {
    for rule in rules {
        validate(schema, rule).expect("a rule is plain text");
    }
}

/// A message that is computed from the value.
pub(super) fn expression(cel: &str) -> kube::core::Message {
    kube::core::Message::Expression(cel.to_owned())
}
