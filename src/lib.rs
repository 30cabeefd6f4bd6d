//! IP address management for Kubernetes pods on underlay networks, as a CNI plugin without daemon,
//! webhook or controller.
//!
//! An address in use is one object in the API server, an [`IPLease`](api::IPLease) named by the address:
//! the server admits one object of a name, so two pods can't hold one address. Each call of the plugin
//! reads the pools that fit the pod, picks an address and creates its lease, or replaces it at the version
//! that was read.
//!
//! | to know | read |
//! |---|---|
//! | what one call does | [`commands`]: a verb of the CNI specification each |
//! | why no address is given twice | [`lease`]: the protocol |
//! | which pools a pod may use, and why not the others | [`select`] |
//! | which address of a pool is tried next | [`pick`] |
//! | which routes an interface gets | [`routes`] |
//! | what the objects say | [`api`] |
//! | what the runtime says and is told | [`cni`] |
//! | how dead pods' addresses come back | [`collect`] |
//! | what goes over the wire | [`cluster`] |
//!
//! Decisions are functions of their arguments; what reads and writes decides nothing. The test at the end
//! of this file holds the layers apart.

pub mod api;
pub mod cluster;
pub mod cni;
pub mod collect;
pub mod commands;
pub mod ip;
pub mod lease;
pub mod metrics;
pub mod pick;
pub mod routes;
pub mod select;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// What a module and its children must not name.
    const LAYERS: [(&str, &[&str]); 8] = [
        (
            "ip",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::api",
                "crate::lease",
            ],
        ),
        (
            "pick",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::cluster",
                "crate::commands",
                "crate::lease",
            ],
        ),
        (
            "select",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::cluster",
                "crate::commands",
                "crate::lease",
            ],
        ),
        (
            "routes",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::cluster",
                "crate::commands",
                "crate::lease",
            ],
        ),
        (
            "cni",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::cluster",
                "crate::commands",
                "crate::lease",
            ],
        ),
        (
            "lease",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::cluster",
                "crate::commands",
                "crate::select",
            ],
        ),
        (
            "collect",
            &[
                "kube::",
                "k8s_openapi",
                "tokio",
                "crate::cluster",
                "crate::commands",
                "crate::select",
            ],
        ),
        ("commands", &["kube::", "k8s_openapi", "crate::cluster"]),
    ];

    #[test]
    fn each_layer_names_only_what_is_below_it() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for (module, forbidden) in LAYERS {
            let files = files(&src.join(module))
                .into_iter()
                .chain([src.join(format!("{module}.rs"))]);
            for file in files {
                let text = fs::read_to_string(&file).expect("a source file");
                let code = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                for (number, line) in code.enumerate() {
                    let named = forbidden.iter().find(|name| line.contains(*name));
                    assert_eq!(
                        named,
                        None,
                        "{} in line {number} of the code",
                        file.display()
                    );
                }
            }
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        let sources = files
            .into_iter()
            .filter(|file| file.extension().is_some_and(|end| end == "rs"));
        sources
            .chain(folders.iter().flat_map(|folder| self::files(folder)))
            .collect()
    }
}
