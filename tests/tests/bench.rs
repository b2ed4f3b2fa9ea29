//! The benchmark command works: every row, with numbers so small that they say nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::process::Command;

#[test]
fn every_row_of_the_bench_command_measures_something() {
    let folder = tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // The bench, and the servers that it looks for beside itself: one program under two names.
    let bench = folder.path().join("bench");
    fs::hard_link(env!("CARGO_BIN_EXE_bench"), &bench).unwrap();
    for name in ["bench-server", "fieldbook"] {
        fs::hard_link(env!("CARGO_BIN_EXE_bench-server"), folder.path().join(name)).unwrap();
    }
    let table = folder.path().join("leads.csv");
    // With the line ends of the table that the bar names.
    let rows =
        ["Prospect ID,Lead Source,Last Activity,Notes", "7f1,展会,来电,", "7f2,官网,Select,\"一, 二\"", ""];
    fs::write(&table, rows.join("\r\n")).unwrap();
    let mut command = Command::new(bench);
    // Without cargo's own variable it takes the server that is there instead of building one.
    command.env_remove("CARGO").arg("--quick").arg("--leads-csv").arg(&table);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Vec<&str>> = said
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| What"))
        .map(|line| line.split(" | ").collect())
        .collect();
    assert!(rows.len() >= 20, "{said}");
    for row in &rows {
        assert!(!row[1].contains("no figure") && !row[1].contains("NaN"), "{row:?}");
    }
    // What is counted, not timed, holds at any size and in any profile.
    for counted in
        ["bytes both ways", "round trips behind", "neither there nor", "cannot be found", "to be rejected"]
    {
        let row = rows.iter().find(|row| row[0].contains(counted)).unwrap();
        assert_eq!(row[3], "met", "{row:?}");
    }
}
