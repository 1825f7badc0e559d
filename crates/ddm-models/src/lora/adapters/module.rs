//! A network with a LoRA as a module of burn: the factors are its parameters.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use super::Adapted;

/// What burn's derived modules say of themselves to visitors and mappers.
const CONTAINER: &str = "Struct:Adapted";

impl<M: Module> Module for Adapted<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.adapters.collect_devices(self.base.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        Self { base: self.base.fork(device), adapters: self.adapters.fork(device), ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        let adapters = self.adapters.to_device(device);
        Self { base: self.base.to_device(device), adapters, ..self }
    }

    fn train(self) -> Self {
        Self { base: self.base.train(), adapters: self.adapters.train(), ..self }
    }

    fn valid(&self) -> Self {
        let (targets, config) = (self.targets.clone(), self.config.clone());
        Self { base: self.base.valid(), targets, adapters: self.adapters.valid(), config }
    }

    fn materialize(self) -> Self {
        Self { base: self.base.materialize(), ..self }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (target, adapter) in self.targets.iter().zip(&self.adapters) {
            visitor.enter_module(&target.path, CONTAINER);
            adapter.visit(visitor);
            visitor.exit_module(&target.path, CONTAINER);
        }
    }

    fn map<T: ModuleMapper>(self, mapper: &mut T) -> Self {
        let adapters = self.targets.iter().zip(self.adapters).map(|(target, adapter)| {
            mapper.enter_module(&target.path, CONTAINER);
            let adapter = adapter.map(mapper);
            mapper.exit_module(&target.path, CONTAINER);
            adapter
        });
        let adapters = adapters.collect();
        Self { adapters, ..self }
    }
}

impl<M: Module> ModuleDisplayDefault for Adapted<M> {
    fn content(&self, content: Content) -> Option<Content> {
        let content = content.set_top_level_type("Adapted");
        let content = content.add_debug_attribute("layers", &self.targets.len());
        content.add_debug_attribute("config", &self.config).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<M: Module> ModuleDisplay for Adapted<M> {}
