//! The table of distances.

/// The distances of samples by method and number of steps.
pub(crate) struct Table {
    names: [&'static str; 2],
    rows: Vec<Row>,
}

struct Row {
    method: String,
    steps: Option<usize>,
    distances: [f64; 2],
    seconds: Option<f64>,
}

impl Table {
    /// Creates a table of two distances.
    pub(crate) fn new(names: [&'static str; 2]) -> Self {
        Self { names, rows: Vec::new() }
    }

    /// Adds and prints the distances of real data, or of samples in a number of steps, with the time of their training.
    pub(crate) fn add(
        &mut self,
        method: &str,
        steps: Option<usize>,
        distances: [f64; 2],
        seconds: Option<f64>,
    ) {
        let of = steps.map_or(String::new(), |steps| format!(" in {steps}"));
        println!("{method}{of}: {} {:.5}", self.names[0], distances[0]);
        self.rows.push(Row { method: method.to_owned(), steps, distances, seconds });
    }

    /// Prints the table as Markdown, with the first distance relative to the row of `method` with `steps`.
    pub(crate) fn print(&self, method: &str, steps: usize) {
        let base = self.rows.iter().find(|row| row.method == method && row.steps == Some(steps));
        let base = base.map(|row| row.distances[0]);
        let [first, second] = self.names;
        println!(
            "| method | steps | {first} | {second} | {first} to that of {method} in {steps} | training |"
        );
        println!("|---|---|---|---|---|---|");
        for Row { method, steps, distances: [first, second], seconds } in &self.rows {
            let steps = steps.map_or(String::new(), |steps| steps.to_string());
            let ratio = base.map_or(String::new(), |base| format!("{:.2}", first / base));
            let seconds = seconds.map_or(String::new(), |seconds| format!("{seconds:.0} s"));
            println!("| {method} | {steps} | {first:.5} | {second:.4} | {ratio} | {seconds} |");
        }
    }
}
