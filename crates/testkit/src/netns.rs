//! Tests that must not reach any network: run again in a network namespace with only loopback.
//!
//! The rule: whatever such a test starts can talk to itself and to nobody else. Where the system makes no
//! namespaces, the test is skipped, and says so on stderr.
//!
//! ```no_run
//! #[test]
//! fn a_relay_that_goes_away_comes_back() {
//!     quorate_testkit::netns::alone(|| { /* sockets on 127.0.0.1, and nothing else is there */ });
//! }
//! ```
//!
//! No environment variable says whether the test runs inside: it looks at which interfaces there are. A machine
//! that has only loopback anyway needs no namespace.

use std::{
    io::{self, BufRead},
    net::UdpSocket,
    process::{Command, ExitStatus, Stdio},
};

/// Brings `lo` up with whatever is there: iproute2, busybox, net-tools, the kernel's own files (no package at
/// all, but a mount), python. Then becomes the command that follows.
const BRING_UP: &str = r#"
up() {
    ip link set lo up || busybox ip link set lo up || ifconfig lo up || {
        mount -t sysfs sysfs /sys && echo 0x9 > /sys/class/net/lo/flags
    } || python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x49) + bytes(22))'
}
up 2> /dev/null
exec "$0" "$@"
"#;

/// Runs `test`, the body of a `#[test]`, where there is no network but loopback.
///
/// It must be called from the test function itself: the test binary is run again with the name of the function
/// that `test` was written in. Panics when that run fails.
#[expect(clippy::panic, reason = "a test that cannot run as it must, or failed, has to fail")]
pub fn alone<T: FnOnce()>(test: T) {
    match place() {
        Place::Alone => test(),
        Place::Broken => panic!("`lo` could not be brought up in the namespace"),
        Place::Networked => match again(&name_of::<T>()) {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("the test failed in its network namespace ({status})"),
            Err(skipped) => skip(&skipped),
        },
    }
}

/// A command that runs `program` in a network namespace of its own with `lo` up, for tests that start other
/// programs. `None` where the system makes no namespaces.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Option<Command> {
    let flags = flags()?;
    let mut command = Command::new("unshare");
    command.args([flags, "--", "sh", "-c", BRING_UP]).arg(program);
    Some(command)
}

enum Place {
    /// There is nothing but loopback, and it works.
    Alone,
    /// There is nothing but loopback, and it is down.
    Broken,
    /// There is a network.
    Networked,
}

/// Where this process runs.
fn place() -> Place {
    let interfaces = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = interfaces.lines().skip(2).filter_map(|line| line.split(':').next());
    // Tunnels that the kernel makes in each new namespace, and that lead nowhere while they are down.
    let mut others = names.map(str::trim).filter(|name| *name != "lo" && !leads_nowhere(name));
    if interfaces.is_empty() || others.next().is_some() {
        return Place::Networked;
    }
    let socket = UdpSocket::bind("127.0.0.1:0");
    match socket.and_then(|socket| socket.send_to(&[0], socket.local_addr()?)) {
        Ok(_) => Place::Alone,
        Err(_) => Place::Broken,
    }
}

/// An interface without a flag that says it is up.
fn leads_nowhere(name: &str) -> bool {
    let operstate = std::fs::read_to_string(format!("/sys/class/net/{name}/flags")).unwrap_or_default();
    let flags = operstate.trim().strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    // `/sys` may be that of the namespace outside, where a name it does not know is one of ours.
    flags.is_none_or(|flags| flags & 1 == 0)
}

/// Runs the test binary again, with this test alone, in a namespace. `Err`: there are none here.
fn again(test: &str) -> io::Result<ExitStatus> {
    let none = || io::Error::new(io::ErrorKind::Unsupported, "`unshare -n` and `unshare -rn` both fail here");
    let mut command = command(std::env::current_exe()?).ok_or_else(none)?;
    command.args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"]);
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    if let Some(stdout) = child.stdout.take() {
        pass_on(io::BufReader::new(stdout))?;
    }
    child.wait()
}

/// Writes what the inner run writes, but for its counts: the run outside counts this test.
#[expect(clippy::print_stdout, reason = "the harness outside shows or hides it with the test")]
fn pass_on(inner: impl BufRead) -> io::Result<()> {
    for line in inner.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if !is_count(&line) {
            println!("{line}");
        }
    }
    Ok(())
}

/// A line of the test harness that says how many tests there are, or were.
fn is_count(line: &str) -> bool {
    line == "running 1 test" || line.starts_with("test result: ")
}

/// How this user makes a namespace: as root, or as root of a user namespace.
fn flags() -> Option<&'static str> {
    ["-nm", "-rnm"].into_iter().find(|flags| {
        let tried = Command::new("unshare").args([flags, "--", "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    })
}

/// The test in whose body a closure was written, as the test harness calls it.
fn name_of<T>() -> String {
    let path = std::any::type_name::<T>().trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_crate, test)| test).to_owned()
}

#[expect(clippy::print_stderr, reason = "a test that did not run must not look as if it had")]
fn skip(why: &io::Error) {
    eprintln!("SKIPPED: no network namespace: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn inside_there_is_loopback_and_nothing_else() {
        alone(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
            // TEST-NET-1: where there is any route to the outside, this waits or is refused by somebody.
            let outside = TcpStream::connect("192.0.2.1:80").unwrap_err();
            assert_eq!(outside.kind(), io::ErrorKind::NetworkUnreachable);
        });
    }

    #[test]
    fn the_inner_run_is_not_counted() {
        for line in
            ["running 1 test", "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 6 filtered out"]
        {
            assert!(is_count(line), "{line}");
        }
        for line in ["", "test netns::tests::x ... ok", "running out of relays", "the test result: none"] {
            assert!(!is_count(line), "{line}");
        }
    }

    #[test]
    fn a_failure_inside_is_a_failure_outside() {
        // How `again` runs a test, and nobody else does.
        let inside = std::env::args().any(|arg| arg == "--include-ignored");
        let failed = std::panic::catch_unwind(|| alone(|| panic!("inside")));
        if inside {
            failed.unwrap();
        } else if flags().is_some() {
            failed.unwrap_err();
        }
    }
}
