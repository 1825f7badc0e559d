//! The settings in a `config.json` of diffusers, and the directory that has it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::DiffusersError;

/// The settings of a file. Each that is read is taken out; those left over are not known.
pub(super) struct Settings(Map<String, Value>);

impl Settings {
    /// Reads the settings of a model of this class.
    pub(super) fn of_class(json: &str, class: &str) -> Result<Self, DiffusersError> {
        let settings = serde_json::from_str::<Map<String, Value>>(json)
            .map_err(|error| DiffusersError::NotJson { reason: error.to_string() })?;
        let mut settings = Self(settings);
        settings.require("_class_name", &[class.into()])?;
        Ok(settings)
    }

    /// Takes a setting, or `default` if it is absent.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        setting: &str,
        allowed: &str,
        default: T,
    ) -> Result<T, DiffusersError> {
        let Some(value) = self.0.remove(setting) else { return Ok(default) };
        let error = || error(setting, &value, allowed);
        serde_json::from_value(value.clone()).map_err(|_| error())
    }

    /// Takes a setting that has one of these values here.
    pub(super) fn require(
        &mut self,
        setting: &str,
        allowed: &[Value],
    ) -> Result<(), DiffusersError> {
        match self.0.remove(setting) {
            Some(value) if !allowed.contains(&value) => {
                let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
                Err(error(setting, &value, &allowed.join(" or ")))
            }
            _ => Ok(()),
        }
    }

    /// Takes a list with the same size for each of `levels` levels, and returns that.
    pub(super) fn one_for_all(
        &mut self,
        setting: &str,
        default: usize,
        levels: usize,
    ) -> Result<usize, DiffusersError> {
        let Some(value) = self.0.remove(setting) else { return Ok(default) };
        let allowed = format!("{levels} times the same size, once per level");
        let sizes: Vec<usize> =
            serde_json::from_value(value.clone()).map_err(|_| error(setting, &value, &allowed))?;
        match sizes.first() {
            Some(&size) if sizes.len() == levels && sizes.iter().all(|&other| other == size) => {
                Ok(size)
            }
            _ => Err(error(setting, &value, &allowed)),
        }
    }

    /// Takes the names of the blocks of both ways, and returns the levels with attention, the finest
    /// being 0: of the encoder, and of the decoder.
    pub(super) fn attention(&mut self, levels: usize) -> Result<[Vec<usize>; 2], DiffusersError> {
        let down = ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"];
        let up = ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"];
        let down = self.attends("down_block_types", levels, down)?;
        let up = self.attends("up_block_types", levels, up)?;
        // The decoder names its coarsest level first.
        Ok([down, up.into_iter().map(|level| levels - 1 - level).collect()])
    }

    /// Takes the names of a block for each of `levels` levels, and returns where they are those with
    /// attention.
    fn attends(
        &mut self,
        setting: &str,
        levels: usize,
        [plain, attends]: [&str; 2],
    ) -> Result<Vec<usize>, DiffusersError> {
        let names: Vec<String> = self.take(setting, "a list of names", vec![plain.to_owned()])?;
        let covered = names.iter().all(|name| [plain, attends].contains(&name.as_str()));
        if !covered || names.len() != levels {
            let allowed = format!(
                "{levels} of \"{plain}\" and \"{attends}\", one per entry of `block_out_channels`"
            );
            return Err(error(setting, &names.into(), &allowed));
        }
        Ok((0..levels).filter(|&level| names[level] == attends).collect())
    }

    /// Checks that there are no other settings than those taken, those of diffusers itself, which
    /// begin with `_`, and those `without_effect` on the numbers.
    pub(super) fn finish(self, without_effect: &[&str]) -> Result<(), DiffusersError> {
        let known = |name: &str| name.starts_with('_') || without_effect.contains(&name);
        match self.0.iter().find(|(name, _)| !known(name)) {
            Some((name, value)) => Err(error(name, value, "absent: it is not known")),
            None => Ok(()),
        }
    }
}

/// Returns the error that names a setting.
fn error(setting: &str, found: &Value, allowed: &str) -> DiffusersError {
    let (setting, found) = (setting.to_owned(), found.to_string());
    DiffusersError::Setting { setting, found, allowed: allowed.to_owned() }
}
