//! A terminal, for the program to run on.

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::process::{Command, Stdio};

/// A call on a terminal, as it came out on either stream.
#[derive(Debug)]
pub struct Shown {
    pub code: Option<i32>,
    pub bytes: Vec<u8>,
}

/// Runs a command with standard output and standard error on a terminal of so many columns.
pub fn run(mut command: Command, columns: u16) -> Shown {
    let (screen, ours) = open(columns);
    command.stdin(Stdio::null()).stdout(ours.try_clone().unwrap()).stderr(ours);
    shown(command, screen)
}

/// The same with standard output alone; messages are left out.
pub fn run_for_results(mut command: Command, columns: u16) -> Shown {
    let (screen, ours) = open(columns);
    command.stdin(Stdio::null()).stdout(ours).stderr(Stdio::null());
    shown(command, screen)
}

fn shown(mut command: Command, mut screen: File) -> Shown {
    let mut child = command.spawn().expect("the program starts");
    // It holds the other side of the terminal until it is dropped.
    drop(command);
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    // Reading fails once nobody has the other side open any more.
    while let Ok(count @ 1..) = screen.read(&mut part) {
        bytes.extend_from_slice(&part[..count]);
    }
    Shown { code: child.wait().expect("the program ends").code(), bytes }
}

/// The side of a new terminal that shows, and the one that programs write to.
#[expect(unsafe_code, reason = "the standard library opens no terminals")]
fn open(columns: u16) -> (File, File) {
    let (mut screen, mut ours) = (-1, -1);
    let size = libc::winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both numbers are places to write to, `size` is one to read from, and the others may be absent. What is
    // opened has no other owner than the two files.
    unsafe {
        let opened = libc::openpty(&mut screen, &mut ours, std::ptr::null_mut(), std::ptr::null(), &size);
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        (File::from_raw_fd(screen), File::from_raw_fd(ours))
    }
}

impl Shown {
    /// What is shown, each line with the line feed that the program wrote.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("UTF-8").replace("\r\n", "\n")
    }
}
