//! What processes use, as the kernel counts it.

use std::fs;

/// Clock ticks a second in /proc, on Linux always.
const TICKS: f64 = 100.0;

/// `VmRSS`, `VmHWM` … of a process, MiB.
pub fn memory(process: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Processor seconds of a process so far; 0 when it is gone.
pub fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may hold spaces.
    let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
    let fields: Vec<f64> =
        after.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    fields.iter().sum::<f64>() / TICKS
}

/// How often its threads gave up the processor or lost it, so far.
pub fn switches(process: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_thread = |task: fs::DirEntry| -> f64 {
        let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let counts = text.lines().filter(|line| line.contains("ctxt_switches"));
        counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
    };
    tasks.filter_map(Result::ok).map(of_thread).sum()
}

/// Its direct children.
pub fn children(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Processor seconds of a process and its children, those that have ended as well.
pub fn cpu_of_family(process: u32) -> f64 {
    cpu(process) + children(process).into_iter().map(cpu).sum::<f64>()
}

/// Memory of a process and its children with what they share counted once, MiB.
pub fn memory_of_family(process: u32) -> f64 {
    let share = |pid: u32| -> f64 {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    share(process) + children(process).into_iter().map(share).sum::<f64>()
}
