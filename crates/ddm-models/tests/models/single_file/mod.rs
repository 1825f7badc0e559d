//! Checkpoints of one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

mod golden;
mod mutated;
mod original;
mod refused;
mod released;
mod scaled;

/// A file or directory of `testdata/pipelines`.
fn pipelines(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/pipelines").join(name)
}

/// The parameters of a network by their places, as f32.
#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    all: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data().convert::<f32>();
        let shape = data.shape().to_vec();
        self.all.insert(self.path.join("."), (shape, data.try_to_vec().unwrap()));
    }
}

fn parameters(network: &impl Module) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut parameters = Parameters::default();
    network.visit(&mut parameters);
    assert!(parameters.all.len() > 5);
    parameters.all
}
