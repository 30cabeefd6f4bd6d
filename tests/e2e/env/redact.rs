//! What a call printed, in words that are the same in every environment: the subnet reads
//! `10.0.0.0/22`.

use std::net::Ipv6Addr;

use testbed::Outcome;

use super::TestEnv;

impl TestEnv {
    /// The result of a call, or code, message and details of its error, in one redacted line.
    pub fn message(&self, outcome: &Outcome) -> String {
        let Ok(json) = outcome.json() else {
            return self.redact(&outcome.to_string());
        };
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let line = match outcome.code {
            Some(0) => json.to_string(),
            Some(1) => format!("{}: {}; {}", json["code"], text("msg"), text("details")),
            _ => outcome.to_string(),
        };
        self.redact(line.trim_end_matches("; "))
    }

    /// A text in which names and addresses of this environment are those of any.
    pub fn redact(&self, text: &str) -> String {
        let mut redacted = text.to_owned();
        if self.vrf.is_none() {
            redacted = redacted.replace(self.name(), "test");
        }
        for third in 0..4_u8 {
            let octets = self.at(u32::from(third) * 256).octets();
            let prefix = |o: [u8; 4]| format!("{}.{}.{}.", o[0], o[1], o[2]);
            redacted = redacted.replace(&prefix(octets), &prefix([10, 0, third, 0]));
        }
        let prefix6 = |address: Ipv6Addr| address.to_string();
        redacted
            .replace(&prefix6(self.at6(0)), "fd00::")
            .replace(self.node.name(), "node")
            .replace(self.cluster.url(0).trim_start_matches("https://"), "server")
            .replace(&self.cluster.dir().display().to_string(), "/cluster")
    }
}
