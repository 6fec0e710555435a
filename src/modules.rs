//! Modules on a device, as dfdx has them: what `build_module` makes of the specifications of the same name.

pub use crate::model::norm::BatchNorm;
pub use crate::model::variational::Variational;
pub use crate::train::gaussian::GaussianLikelihood;
