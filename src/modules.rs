//! Modules on a device, which `build_module` builds from the specifications of the same name.

pub use crate::model::norm::BatchNorm;
pub use crate::model::variational::Variational;
pub use crate::train::gaussian::GaussianLikelihood;
