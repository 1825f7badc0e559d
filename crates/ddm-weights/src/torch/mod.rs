//! Files of `torch.save`: a pickle of dictionaries, and the numbers beside it.

mod archive;
mod globals;
mod legacy;
mod pickle;
mod state_dict;

pub(crate) use archive::open as open_archive;
pub(crate) use legacy::open as open_legacy;
