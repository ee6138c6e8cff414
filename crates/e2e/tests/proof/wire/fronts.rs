//! Proxies in front of us: each has one connection to us at most, shared by all its clients, so that an answer that
//! is one too many, or one too few, reaches somebody else.

use std::net::SocketAddr;
use std::process::Command;

use e2e::closed_address;

use super::peers::{Peer, apache_with, nginx_with, open_folder, started};

/// Something that stands in front.
pub(crate) struct Front {
    pub(crate) name: &'static str,
    pub(crate) peer: Peer,
}

/// Each proxy as it comes, and set up to let through what it would otherwise refuse.
pub(crate) fn before(mirror: SocketAddr) -> Vec<Front> {
    let lenient_nginx = "ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;";
    let streaming = "proxy_request_buffering off; proxy_pass_request_headers on;";
    vec![
        Front { name: "nginx", peer: nginx(mirror, "", "") },
        Front { name: "nginx, lenient", peer: nginx(mirror, lenient_nginx, streaming) },
        Front { name: "Apache", peer: apache(mirror, "") },
        Front { name: "Apache, lenient", peer: apache(mirror, "HttpProtocolOptions Unsafe\n") },
        Front { name: "haproxy", peer: haproxy(mirror, "", "") },
        Front {
            name: "haproxy, lenient",
            peer: haproxy(mirror, "option accept-invalid-http-request", "option accept-invalid-http-response"),
        },
    ]
}

fn nginx(mirror: SocketAddr, server: &str, location: &str) -> Peer {
    nginx_with(&format!(
        "{server}\n    location / {{ proxy_pass http://mirror; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
         {location} }}\n  }}\n  upstream mirror {{ server {mirror}; keepalive 1; "
    ))
}

fn apache(mirror: SocketAddr, more: &str) -> Peer {
    apache_with(&["proxy", "proxy_http"], &format!("{more}ProxyPass / http://{mirror}/ max=1\n"))
}

fn haproxy(mirror: SocketAddr, frontend: &str, backend: &str) -> Peer {
    let (folder, address) = (open_folder(), closed_address());
    let configuration = format!(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 30s\n  timeout client 60s\n  timeout server 60s\n  \
         http-reuse always\nfrontend all\n  bind {address}\n  {frontend}\n  default_backend mirror\nbackend mirror\n  \
         {backend}\n  server one {mirror} pool-max-conn 1 maxconn 1\n"
    );
    std::fs::write(folder.path().join("haproxy.cfg"), configuration).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-f").arg(folder.path().join("haproxy.cfg"));
    started(command, address, folder)
}
