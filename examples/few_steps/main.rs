//! One to four steps: a teacher, and the students that are made of it, with distances before and after.
//!
//! `cargo run --release --example few_steps`; `--help` shows the options.

mod fashion;
mod planar;
mod rounds;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use ddm_core::data::FASHION_MNIST;
use ddm_examples::device::parse_device;
use ddm_examples::output::create_folder;

/// Trains networks that sample in one to four steps, and measures them beside their teacher.
#[derive(Parser)]
pub(crate) struct Args {
    /// The data: points in the plane, or clothes, whose teacher the example `fashion` trains.
    #[arg(long, value_enum, default_value = "points")]
    data: Data,
    /// The methods, separated by commas; by default all.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1)]
    methods: Vec<Method>,
    /// For clothes: the folder `unet` that the example `fashion` has written.
    #[arg(long, default_value = "out/fashion/unet")]
    teacher: PathBuf,
    /// For clothes: the folder with the IDX files of Fashion-MNIST, gzipped or not.
    #[arg(long, default_value = FASHION_MNIST)]
    images: PathBuf,
    /// Training steps of the networks that start at random, among them the teacher of points; by default 4,000
    /// for points, 1,600 for clothes.
    #[arg(long)]
    training_steps: Option<usize>,
    /// Training steps of the students that start with their teacher's weights, and of each round of progressive
    /// distillation half of them; by default 2,000 for points, 600 for clothes.
    #[arg(long)]
    student_steps: Option<usize>,
    /// The teacher's steps that progressive distillation starts from, a power of 2; by default 32 for points, 16
    /// for clothes.
    #[arg(long)]
    first: Option<usize>,
    /// Samples that are measured; by default 4,000 points, 1,000 clothes.
    #[arg(long)]
    samples: Option<usize>,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, vulkan, … (those compiled in).
    #[arg(long, default_value = "flex")]
    device: String,
    /// Folder for the pictures and students.
    #[arg(long, default_value = "out/few_steps")]
    out: PathBuf,
}

impl Args {
    /// Returns whether a method is wanted.
    pub(crate) fn wants(&self, method: Method) -> bool {
        self.methods.is_empty() || self.methods.contains(&method)
    }
}

/// A way to a network of a few steps.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Progressive distillation.
    Progressive,
    /// Consistency distillation.
    Distillation,
    /// Consistency tuning (ECT).
    Tuning,
    /// Consistency training (iCT).
    Training,
    /// Mean flow.
    MeanFlow,
}

impl Method {
    /// Returns its name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Progressive => "progressive",
            Self::Distillation => "consistency distillation",
            Self::Tuning => "consistency tuning",
            Self::Training => "consistency training",
            Self::MeanFlow => "mean flow",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Data {
    Points,
    Fashion,
}

/// The numbers of steps that students are made for.
pub(crate) const FEW: [usize; 3] = [1, 2, 4];

fn main() -> ExitCode {
    ddm_examples::cli::run(run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let device = parse_device(&args.device)?;
    let counts = [
        ("training-steps", args.training_steps),
        ("student-steps", args.student_steps),
        ("samples", args.samples),
        ("first", args.first),
    ];
    for (option, found) in counts {
        if found == Some(0) {
            return Err(format!("--{option} is 0, but must be at least 1").into());
        }
    }
    device.seed(args.seed);
    match args.data {
        Data::Points => {
            create_folder(&args.out)?;
            planar::run(&args, &device)?;
        }
        Data::Fashion => fashion::run(&args, &device)?,
    }
    println!("\nwritten to {}", args.out.display());
    Ok(())
}

/// Returns what a training gives, and how many seconds it took.
pub(crate) fn timed<T>(
    train: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<(T, Option<f64>), Box<dyn Error>> {
    let clock = Instant::now();
    let trained = train()?;
    Ok((trained, Some(clock.elapsed().as_secs_f64())))
}
