//! Reads members of a JSON object and collects everything that is wrong with them.

use std::fmt::Display;
use std::str::FromStr;

use alkhub_operations::JsonObject;
use alkhub_operations::issue::pointer_join;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{GraphError, InputFault};

/// The faults found so far.
#[derive(Default)]
pub(crate) struct Faults(Vec<InputFault>);

/// An object whose members are taken out one by one. `null` is the same as absent.
pub(crate) struct Fields<'a> {
    members: JsonObject,
    path: String,
    faults: &'a mut Faults,
}

impl Faults {
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(InputFault::new(path, message));
    }

    /// Nothing, or all faults as one error.
    pub(crate) fn finish(self) -> Result<(), GraphError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(GraphError::InvalidInput { errors: self.0 })
        }
    }

    /// The members of an object; for anything else a fault and none.
    pub(crate) fn object(&mut self, value: Value, path: &str) -> Option<JsonObject> {
        if let Value::Object(members) = value {
            Some(members)
        } else {
            self.add(path, "must be an object");
            None
        }
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn new(members: JsonObject, path: &str, faults: &'a mut Faults) -> Self {
        Self {
            members,
            path: path.to_owned(),
            faults,
        }
    }

    /// The member, if it is there and not `null`.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// The member as a text that is read by its type.
    pub(crate) fn text<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.take(name)? {
            Value::String(text) => match text.parse() {
                Ok(read) => Some(read),
                Err(error) => {
                    self.fault(name, error.to_string());
                    None
                }
            },
            _ => {
                self.fault(name, "must be a text");
                None
            }
        }
    }

    /// As [`Self::text`], and a fault when it is absent.
    pub(crate) fn required_text<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        if self.members.get(name).is_none_or(Value::is_null) {
            self.fault(name, "is required");
            return None;
        }
        self.text(name)
    }

    /// The member as an object.
    pub(crate) fn object(&mut self, name: &str) -> Option<JsonObject> {
        let value = self.take(name)?;
        let path = self.path_of(name);
        self.faults.object(value, &path)
    }

    /// The member as one of serde's types.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, name: &str, shape: &str) -> Option<T> {
        let value = self.take(name)?;
        match T::deserialize(value) {
            Ok(read) => Some(read),
            Err(_) => {
                self.fault(name, format!("must be {shape}"));
                None
            }
        }
    }

    /// As [`Self::read`], and a fault when it is absent.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str, shape: &str) -> Option<T> {
        if self.members.get(name).is_none_or(Value::is_null) {
            self.fault(name, "is required");
            return None;
        }
        self.read(name, shape)
    }

    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        let path = self.path_of(name);
        self.faults.add(path, message);
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> JsonObject {
        let mut rest = self.members;
        rest.retain(|_, value| !value.is_null());
        rest
    }

    fn path_of(&self, name: &str) -> String {
        pointer_join(&self.path, name)
    }
}
