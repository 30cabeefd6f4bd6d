//! Rules between the fields of an object, in CEL.
//!
//! A rule holds where one of its fields is malformed: the field's own rule reports that, in
//! [`schema`](super::schema), so one fault has one message.

use kube::core::Rule;

use super::schema::expression;

/// Everything that the pool may give is in its subnet.
pub(super) fn ips_inside_subnet() -> Rule {
    spans_inside_subnet("ips")
}

/// Everything that the pool excludes is in its subnet; anything else is a mistake.
pub(super) fn exclude_ips_inside_subnet() -> Rule {
    spans_inside_subnet("excludeIPs")
}

fn spans_inside_subnet(list: &str) -> Rule {
    // Not split(): the API server estimates its cost as if each character became a part.
    let end = |end: &str| format!("(!isIP({end}) || cidr(self.subnet).containsIP({end}))");
    let inside = format!(
        "i.contains('/') ? !isCIDR(i) || cidr(self.subnet).containsCIDR(i) : !i.contains('-') ? {} : {} && {}",
        end("i"),
        end("i.substring(0, i.indexOf('-'))"),
        end("i.substring(i.indexOf('-') + 1)"),
    );
    Rule::new(format!(
        "!isCIDR(self.subnet) || !has(self.{list}) || self.{list}.all(i, {inside})"
    ))
    .message(expression(&format!(
        "'%s is not inside the subnet %s'.format([self.{list}.filter(i, !({inside}))[0], self.subnet])"
    )))
    .field_path(format!(".{list}"))
}

/// The gateway is a neighbor.
pub(super) fn gateway_on_the_link() -> Rule {
    let neighbor = neighbor("self.gateway");
    Rule::new(format!(
        "!isCIDR(self.subnet) || !has(self.gateway) || !isIP(self.gateway) || {neighbor}"
    ))
    .message(expression(
        "'%s is not inside the subnet %s: a pod could not reach it'.format([self.gateway, self.subnet])",
    ))
    .field_path(".gateway")
}

/// Whether a pod reaches `address` on its link: inside the subnet, or link-local in IPv6, where
/// every link has its own `fe80::1`.
fn neighbor(address: &str) -> String {
    format!(
        "(cidr(self.subnet).containsIP({address}) || self.subnet.contains(':') \
         && {address}.contains(':') && ip({address}).isLinkLocalUnicast())"
    )
}

/// A destination is of the family of the addresses.
pub(super) fn destinations_of_the_subnets_family() -> Rule {
    let agrees = "!isCIDR(r.dst) || cidr(r.dst).ip().family() == cidr(self.subnet).ip().family()";
    Rule::new(format!(
        "!isCIDR(self.subnet) || !has(self.routes) || self.routes.all(r, {agrees})"
    ))
    .message(expression(&format!(
        "'the destination %s is not of the address family of the subnet %s'\
         .format([self.routes.filter(r, !({agrees}))[0].dst, self.subnet])"
    )))
    .field_path(".routes")
}

/// A next hop is a neighbor.
pub(super) fn next_hops_on_the_link() -> Rule {
    let neighbor = format!("!isIP(r.gw) || {}", neighbor("r.gw"));
    Rule::new(format!(
        "!isCIDR(self.subnet) || !has(self.routes) || self.routes.all(r, {neighbor})"
    ))
    .message(expression(&format!(
        "'the next hop %s is not inside the subnet %s: a pod could not reach it'\
         .format([self.routes.filter(r, !({neighbor}))[0].gw, self.subnet])"
    )))
    .field_path(".routes")
}

/// A lease has the name that [`lease_name`](super::lease_name) gives to its address. Uniqueness of
/// addresses depends on it.
///
/// The rule converts the name to an address, because CEL has no function that writes out all groups
/// of an IPv6 address.
pub(super) fn named_by_its_address() -> Rule {
    Rule::new(
        "!isIP(self.spec.address) || [self.spec.vrf == '' ? '' : self.spec.vrf + '.'].all(v, \
         self.metadata.name.startsWith(v) && [self.metadata.name.substring(size(v))].all(n, \
         self.spec.address.contains(':') \
         ? n.matches('^(0|[1-9a-f][0-9a-f]{0,3})(-(0|[1-9a-f][0-9a-f]{0,3})){7}$') \
         && ip(n.replace('-', ':')) == ip(self.spec.address) \
         : n == self.spec.address))",
    )
    .message(expression(
        "self.spec.address.contains(':') \
         ? 'a lease is named by its address: write the eight groups of %s without leading zeros joined by \"-\", as in \
         fd00-6-0-0-0-0-0-9 for fd00:6::9, and \"<vrf>.\" in front where spec.vrf is set'.format([self.spec.address]) \
         : 'a lease is named by its address: write %s%s'\
         .format([self.spec.vrf == '' ? '' : self.spec.vrf + '.', self.spec.address])",
    ))
}

/// A Held lease has a holder.
pub(super) fn held_has_a_holder() -> Rule {
    Rule::new("self.state != 'Held' || has(self.holder)")
        .message("a Held lease needs a holder: set holder, or set state to Retained")
        .field_path(".state")
}

/// A Cooling lease has the time of its release.
pub(super) fn cooling_since() -> Rule {
    Rule::new("self.state != 'Cooling' || has(self.releasedAt)")
        .message("a Cooling lease needs the time of its release: set releasedAt, for example 2026-01-31T12:00:00.000000Z")
        .field_path(".state")
}

/// What cools is on its way to any pod: nothing keeps it.
pub(super) fn cooling_without_a_claim() -> Rule {
    Rule::new("self.state != 'Cooling' || !has(self.claim)")
        .message("a lease that is Cooling has no claim: leave claim away, or set state to Retained")
        .field_path(".state")
}

/// A quarantine ends.
pub(super) fn quarantined_until() -> Rule {
    Rule::new("self.state != 'Quarantined' || has(self.quarantinedUntil)")
        .message(
            "a Quarantined lease needs the end of its quarantine: set quarantinedUntil, for example \
             2026-01-31T12:00:00.000000Z",
        )
        .field_path(".state")
}

/// Only a lease with a claim can have two holders.
pub(super) fn second_holder_of_a_claim() -> Rule {
    Rule::new("!has(self.coHolder) || has(self.holder) && has(self.claim)")
        .message(
            "only a lease with a claim has two holders: set holder and claim too, or omit coHolder",
        )
        .field_path(".coHolder")
}

/// A claim says in one way which addresses it has.
pub(super) fn one_way_to_name_addresses() -> Rule {
    Rule::new(
        "[has(self.addresses) && self.addresses.size() > 0, has(self.size), has(self.owner)]\
         .filter(way, way).size() == 1",
    )
    .message(
        "a claim says in one way which addresses it has: set either addresses, or size and pools",
    )
}

/// A size is of pools.
pub(super) fn size_of_pools() -> Rule {
    Rule::new("has(self.size) == (has(self.pools) && self.pools.size() > 0)")
        .message("size and pools go together: so many addresses of these pools")
        .field_path(".pools")
}

/// A derived claim stays its owner's, and a person's claim a person's.
pub(super) fn owner_for_ever() -> Rule {
    Rule::new(
        "has(self.owner) == has(oldSelf.owner) && (!has(self.owner) || self.owner == oldSelf.owner)",
    )
    .message("the owner of a claim can't change: make another claim")
    .field_path(".owner")
}

/// The names of derived claims are not for persons.
pub(super) fn derived_name() -> Rule {
    Rule::new("self.metadata.name.matches('-[0-9a-f]{32}$') == has(self.spec.owner)").message(expression(
        "has(self.spec.owner) ? 'the name of a claim with an owner ends in \"-\" and 32 hex digits' \
         : 'a name that ends in \"-\" and 32 hex digits is for the claims that the plugin makes: choose another'",
    ))
}
