use super::*;

/// A kubeconfig whose cluster and user have this beside what every one has.
fn read(cluster: &str, user: &str) -> Result<Access, String> {
    let yaml = format!(
        "{{clusters: [{{name: a, cluster: {{{cluster}}}}}], \
         users: [{{name: a, user: {{{user}}}}}], \
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}], current-context: a}}"
    );
    let kubeconfig = Kubeconfig::from_yaml(&yaml).expect("a kubeconfig");
    Access::of(&kubeconfig).map_err(|error| error.to_string())
}

#[test]
fn a_server_is_what_client_go_makes_of_it() {
    for (cluster, expected) in [
        ("server: 'https://[fd00::1]:6443'", "https://[fd00::1]:6443"),
        (
            "server: 'https://api.example/k8s/'",
            "https://api.example/k8s",
        ),
        ("server: '10.0.0.1:8080'", "http://10.0.0.1:8080"),
        (
            "server: '10.0.0.1:6443', insecure-skip-tls-verify: true",
            "https://10.0.0.1:6443",
        ),
    ] {
        let access = read(cluster, "token: t").expect(cluster);
        assert_eq!(access.server.url(), expected, "{cluster}");
    }
}

#[test]
fn what_would_lead_elsewhere_is_refused_by_name_and_no_password_is_shown() {
    let server = "server: 'https://10.0.0.1'";
    let proxied = format!("{server}, proxy-url: 'http://me:secret@proxy:3128'");
    for (cluster, user, named) in [
        (proxied.as_str(), "token: t", "proxy-url"),
        (server, "token: t, as: admin", "as"),
        (
            server,
            "token: t, as-groups: ['system:masters']",
            "as-groups",
        ),
        (
            "server: 'https://me:secret@10.0.0.1'",
            "token: t",
            "a user before its host",
        ),
        ("server: 'ftp://me:secret@10.0.0.1'", "token: t", "HTTPS"),
    ] {
        let error = read(cluster, user).err().expect(named);
        assert!(error.contains(named), "{named}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
