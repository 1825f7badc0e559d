//! Settings that autoencoders have in common.

use crate::DiffusersError;
use crate::settings::Settings;

impl Settings {
    /// Reads a list with the same size for each of `levels` levels, and returns that.
    pub(super) fn one_for_all(
        &self,
        setting: &str,
        default: usize,
        levels: usize,
    ) -> Result<usize, DiffusersError> {
        let allowed = format!("{levels} times the same size, once per level");
        let Some(sizes) = self.get::<Option<Vec<usize>>>(setting, &allowed, None)? else {
            return Ok(default);
        };
        match sizes.first() {
            Some(&size) if sizes.len() == levels && sizes.iter().all(|&other| other == size) => {
                Ok(size)
            }
            _ => Err(self.error(setting, &allowed)),
        }
    }

    /// Reads the names of the blocks of both ways, and returns the levels with attention, the finest
    /// being 0: of the encoder, and of the decoder.
    pub(super) fn attention(&self, levels: usize) -> Result<[Vec<usize>; 2], DiffusersError> {
        let down = ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"];
        let up = ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"];
        let down = self.attends("down_block_types", levels, down)?;
        let up = self.attends("up_block_types", levels, up)?;
        // The decoder names its coarsest level first.
        Ok([down, up.into_iter().map(|level| levels - 1 - level).collect()])
    }

    /// Reads the names of a block for each of `levels` levels, and returns where they are those with
    /// attention.
    fn attends(
        &self,
        setting: &str,
        levels: usize,
        [plain, attends]: [&str; 2],
    ) -> Result<Vec<usize>, DiffusersError> {
        let names: Vec<String> = self.get(setting, "a list of names", vec![plain.to_owned()])?;
        let covered = names.iter().all(|name| [plain, attends].contains(&name.as_str()));
        if !covered || names.len() != levels {
            let allowed = format!(
                "{levels} of \"{plain}\" and \"{attends}\", one per entry of `block_out_channels`"
            );
            return Err(self.error(setting, &allowed));
        }
        Ok((0..levels).filter(|&level| names[level] == attends).collect())
    }
}
