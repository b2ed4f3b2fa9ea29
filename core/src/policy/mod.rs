//! The company's policy as data (O13): what a business user may change without a new release. Refuses to hold anything that a rule decides
//! by itself.

pub mod formula;
