//! The same calls through libcni, which finds the plugins, keeps their results and converts between
//! versions.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Attachment, cni_path, put};
use crate::call::Call;
use crate::guardian;
use crate::sandbox::container_id;
use crate::tools::Tool;

impl Attachment {
    /// The call of this command (`add`, `check`, `del`, `gc`, `status`) by `cnitool`, as a list of
    /// one plugin.
    pub fn cnitool(&self, command: &str) -> Result<Call> {
        let name = self.config["name"].as_str().unwrap_or_default();
        let mut plugin = self.config.clone();
        put(&mut plugin, "name", Value::Null);
        put(&mut plugin, "cniVersion", Value::Null);
        let list =
            json!({"cniVersion": self.config["cniVersion"], "name": name, "plugins": [plugin]});
        let folder = self
            .node
            .cluster()
            .dir()
            .join("net.d")
            .join(container_id()?);
        std::fs::create_dir_all(&folder).context("make a folder of configurations")?;
        std::fs::write(folder.join("10-test.conflist"), serde_json::to_vec(&list)?)
            .context("write a configuration")?;
        guardian::run()?.adopt(&self.cnitool_container()?)?;
        Ok(Call::new(&self.node.cluster().tool(Tool::Cnitool))
            .arg(command)
            .arg(name)
            .arg(self.netns()?)
            .env("NETCONFPATH", folder)
            .env("CNI_IFNAME", &self.interface)
            .env("CNI_ARGS", self.cni_args())
            .env("CNI_PATH", cni_path(&self.node, &self.ipam_plugin))
            .inside(self.node.netns()))
    }

    /// The container id that `cnitool` makes: from a hash of the namespace's path.
    pub fn cnitool_container(&self) -> Result<String> {
        let hash = "printf %s \"$1\" | sha512sum";
        let out = Command::new("sh")
            .args(["-c", hash, "sh", &self.netns()?])
            .output()
            .context("run sha512sum")?;
        let digits = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(digits.len() >= 20, "no sha512sum on this machine");
        Ok(format!("cnitool-{}", &digits[..20]))
    }

    fn netns(&self) -> Result<String> {
        ensure!(self.netns_is_known, "cnitool wants a namespace");
        Ok(self.sandbox.netns().path().display().to_string())
    }
}
