//! What Linux knows of this process.

use std::error::Error;
use std::fs::read_to_string;

/// The unit of times in `/proc`, of which there are 100 in a second on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds since this process started.
pub(crate) fn age() -> Result<f64, Box<dyn Error>> {
    let stat = read_to_string("/proc/self/stat")?;
    // The name, in parentheses, may contain spaces. The start is field 22, and field 3 follows it.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?;
    let start = fields.split_whitespace().nth(19).ok_or("/proc/self/stat has no start")?;
    let uptime = read_to_string("/proc/uptime")?;
    let now = uptime.split_whitespace().next().ok_or("/proc/uptime is empty")?;
    Ok(now.parse::<f64>()? - start.parse::<f64>()? / TICKS_PER_SECOND)
}

/// The largest resident memory of this process so far.
pub(crate) fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = kib.and_then(|kib| kib.split_whitespace().next()).ok_or("VmHWM is not known")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
