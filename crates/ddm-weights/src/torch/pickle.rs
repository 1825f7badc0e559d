//! A reader of pickles that runs nothing: only dictionaries, lists, texts, numbers and tensors come out.
//!
//! The opcodes are those of Python's `pickletools`, of protocol 2 and later. All objects lie in one list
//! and refer to each other by their places in it, so that no depth and no circle does any harm. An opcode
//! makes at most one object and copies little, so that memory is bounded by the length of the pickle.

use std::collections::HashMap;

use super::globals::{Global, global};
use crate::cursor::Cursor;
use crate::safetensors::AXES;
use crate::{Fault, Stored, WeightsError};

/// The longest pickle that is read: a state dict has about 120 bytes for each tensor.
const LONGEST: u64 = 1 << 23;
/// The longest text.
const TEXT: u64 = 1 << 20;
/// The longest key of a storage: it is a number, and is copied where it is used.
const KEY: usize = 64;
/// The most items that are copied from lists into dictionaries.
const COPIED: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A float, or bytes: what no tensor has.
    Opaque,
    Global(Global),
    /// An object, by its place.
    At(usize),
}

#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
}

/// A storage as the pickle describes it.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    /// Its type; bytes have none.
    pub(super) stored: Option<Stored>,
    pub(super) elements: u64,
}

/// A tensor as the pickle describes it.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// The place of its storage.
    pub(super) storage: usize,
    /// Its type, if the storage has none.
    pub(super) stored: Option<Stored>,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// A pickle's objects, and the one that it is of.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) objects: Vec<Object>,
    pub(super) top: Value,
}

/// Reads one pickle, and leaves the cursor behind it.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Pickle, WeightsError> {
    let begin = cursor.position();
    let mut machine = Machine::default();
    loop {
        let at = cursor.position();
        if at - begin > LONGEST {
            return Err(failed(
                cursor,
                at,
                Failure::Reason(format!("longer than {LONGEST} bytes")),
            ));
        }
        let opcode = cursor.u8()?;
        if opcode == b'.' {
            let top = machine.pop().map_err(|failure| failed(cursor, at, failure))?;
            return Ok(Pickle { objects: machine.objects, top });
        }
        let argument = Argument::read(opcode, cursor)?;
        machine.step(opcode, argument).map_err(|failure| failed(cursor, at, failure))?;
    }
}

fn failed(cursor: &Cursor<'_>, at: u64, failure: Failure) -> WeightsError {
    match failure {
        Failure::Reason(reason) => cursor.source().fault(Fault::Pickle { at, reason }),
        Failure::Refused(name) => {
            WeightsError::Refused { path: cursor.source().path().to_owned(), name }
        }
    }
}

/// What follows an opcode.
enum Argument {
    None,
    Number(i64),
    Text(Vec<u8>),
    /// A module and a name.
    Global(Vec<u8>, Vec<u8>),
}

impl Argument {
    fn read(opcode: u8, cursor: &mut Cursor<'_>) -> Result<Self, WeightsError> {
        let length = match opcode {
            0x80 | b'K' | b'q' | b'h' => return Ok(Self::Number(cursor.u8()?.into())),
            b'M' => return Ok(Self::Number(cursor.u16()?.into())),
            b'J' => return Ok(Self::Number((cursor.u32()? as i32).into())),
            b'r' | b'j' => return Ok(Self::Number(cursor.u32()?.into())),
            b'G' => 8,
            // A frame's length, which says nothing that is not read anyway.
            0x95 => return cursor.skip(8).map(|()| Self::None),
            b'c' => return Ok(Self::Global(line(cursor)?, line(cursor)?)),
            0x8a | b'U' | b'C' | 0x8c => cursor.u8()?.into(),
            b'X' | b'T' | b'B' => cursor.u32()?.into(),
            0x8d | 0x8e => cursor.u64()?,
            _ => return Ok(Self::None),
        };
        if length > TEXT {
            let (at, reason) = (cursor.position(), format!("a text of {length} bytes"));
            return Err(cursor.source().fault(Fault::Pickle { at, reason }));
        }
        Ok(Self::Text(cursor.bytes(length)?))
    }
}

/// The bytes up to the end of a line, of which none is long.
fn line(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, WeightsError> {
    let mut line = Vec::new();
    loop {
        match cursor.u8()? {
            b'\n' => return Ok(line),
            _ if line.len() >= 1024 => {
                let (at, reason) = (cursor.position(), "an endless name".to_owned());
                return Err(cursor.source().fault(Fault::Pickle { at, reason }));
            }
            byte => line.push(byte),
        }
    }
}

enum Failure {
    Reason(String),
    /// A name that is not allowed.
    Refused(String),
}

fn wrong<T>(reason: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Reason(reason.into()))
}

#[derive(Default)]
struct Machine {
    objects: Vec<Object>,
    stack: Vec<Value>,
    /// Heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<i64, Value>,
    /// The one empty tuple.
    empty: Option<Value>,
    copied: usize,
}

impl Machine {
    fn step(&mut self, opcode: u8, argument: Argument) -> Result<(), Failure> {
        match (opcode, argument) {
            (0x80, Argument::Number(protocol)) => match protocol {
                2..=5 => {}
                other => return wrong(format!("protocol {other}, and 2 to 5 can be read")),
            },
            (0x95, _) => {}
            (b'(', _) => self.marks.push(self.stack.len()),
            (b'0', _) => drop(self.pop()?),
            (b'1', _) => drop(self.pop_to_mark()?),
            (b'2', _) => {
                let value = self.top()?;
                self.stack.push(value);
            }
            (b'N', _) => self.stack.push(Value::None),
            (0x88, _) => self.stack.push(Value::Bool(true)),
            (0x89, _) => self.stack.push(Value::Bool(false)),
            (b'K' | b'M' | b'J', Argument::Number(value)) => self.stack.push(Value::Int(value)),
            (0x8a, Argument::Text(bytes)) => self.stack.push(long(&bytes)),
            (b'G' | b'C' | b'B' | 0x8e, _) => self.stack.push(Value::Opaque),
            (b'X' | b'T' | b'U' | 0x8c | 0x8d, Argument::Text(bytes)) => {
                self.object(Object::Text(utf8(bytes)?));
            }
            (b'}', _) => self.object(Object::Dict(Vec::new())),
            (b']' | 0x8f, _) => self.object(Object::List(Vec::new())),
            (b')', _) => match self.empty {
                Some(empty) => self.stack.push(empty),
                None => {
                    self.object(Object::Tuple(Vec::new()));
                    self.empty = self.stack.last().copied();
                }
            },
            (b't', _) => {
                let values = self.pop_to_mark()?;
                self.object(Object::Tuple(values));
            }
            (0x85..=0x87, _) => {
                let mut values = Vec::new();
                for _ in 0x84..opcode {
                    values.push(self.pop()?);
                }
                values.reverse();
                self.object(Object::Tuple(values));
            }
            (b'l', _) => {
                let values = self.pop_to_mark()?;
                self.object(Object::List(values));
            }
            (b'd', _) => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.object(Object::Dict(entries));
            }
            (b'a', _) => {
                let value = self.pop()?;
                self.list()?.push(value);
            }
            (b'e' | 0x90, _) => {
                let values = self.pop_to_mark()?;
                self.list()?.extend(values);
            }
            (b's', _) => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.dict()?.push((key, value));
            }
            (b'u', _) => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.dict()?.extend(entries);
            }
            (b'q' | b'r', Argument::Number(place)) => {
                let value = self.top()?;
                self.memo.insert(place, value);
            }
            (0x94, _) => {
                let value = self.top()?;
                self.memo.insert(self.memo.len() as i64, value);
            }
            (b'h' | b'j', Argument::Number(place)) => match self.memo.get(&place) {
                Some(value) => self.stack.push(*value),
                None => return wrong(format!("nothing was kept at {place}")),
            },
            (b'c', Argument::Global(module, name)) => self.global(&utf8(module)?, &utf8(name)?)?,
            (0x93, _) => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.text(module)?.to_owned(), self.text(name)?.to_owned());
                self.global(&module, &name)?;
            }
            (b'Q', _) => {
                let identity = self.pop()?;
                let storage = self.storage(identity)?;
                self.object(storage);
            }
            (b'R', _) => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.reduce(callable, arguments)?;
            }
            // A dictionary's attributes, `_metadata` of a state dict: versions of its modules.
            (b'b', _) => {
                self.pop()?;
                self.dict()?;
            }
            (opcode, _) => return wrong(format!("the opcode {:?}", char::from(opcode))),
        }
        Ok(())
    }

    fn object(&mut self, object: Object) {
        self.stack.push(Value::At(self.objects.len()));
        self.objects.push(object);
    }

    /// The top of the stack, above the last mark.
    fn top(&self) -> Result<Value, Failure> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(value) if self.stack.len() > floor => Ok(*value),
            _ => wrong("its stack is empty"),
        }
    }

    fn pop(&mut self) -> Result<Value, Failure> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Failure> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => wrong("no mark was set"),
        }
    }

    fn get(&self, value: Value) -> Option<&Object> {
        let Value::At(place) = value else { return None };
        self.objects.get(place)
    }

    fn text(&self, value: Value) -> Result<&str, Failure> {
        match self.get(value) {
            Some(Object::Text(text)) => Ok(text),
            _ => wrong("no text where there must be one"),
        }
    }

    fn tuple(&self, value: Value) -> Result<&[Value], Failure> {
        match self.get(value) {
            Some(Object::Tuple(values)) => Ok(values),
            _ => wrong("no tuple where there must be one"),
        }
    }

    fn list(&mut self) -> Result<&mut Vec<Value>, Failure> {
        let top = self.top()?;
        match top {
            Value::At(place) => match &mut self.objects[place] {
                Object::List(values) => Ok(values),
                _ => wrong("no list where there must be one"),
            },
            _ => wrong("no list where there must be one"),
        }
    }

    fn dict(&mut self) -> Result<&mut Vec<(Value, Value)>, Failure> {
        let top = self.top()?;
        match top {
            Value::At(place) => match &mut self.objects[place] {
                Object::Dict(entries) => Ok(entries),
                _ => wrong("attributes or entries of what is no dictionary"),
            },
            _ => wrong("attributes or entries of what is no dictionary"),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Failure> {
        match global(module, name) {
            Some(global) => self.stack.push(Value::Global(global)),
            None => return Err(Failure::Refused(format!("{module}.{name}"))),
        }
        Ok(())
    }

    /// ("storage", type, key, place, elements[, view of another]).
    fn storage(&self, identity: Value) -> Result<Object, Failure> {
        let values = self.tuple(identity)?;
        let (Some([_, kind, key, _, Value::Int(elements)]), None | Some(Value::None)) =
            (values.get(..5), values.get(5))
        else {
            return wrong("a storage that is no storage, or a view of another");
        };
        let stored = match kind {
            Value::Global(Global::Storage(stored)) => Some(*stored),
            Value::Global(Global::Untyped) => None,
            _ => return wrong("a storage of no type"),
        };
        let key = self.text(*key)?;
        match u64::try_from(*elements) {
            Ok(elements) if key.len() <= KEY => {
                Ok(Object::Storage(Box::new(Storage { key: key.to_owned(), stored, elements })))
            }
            _ => wrong(format!("a storage of {elements} elements, with a key of {}", key.len())),
        }
    }

    fn reduce(&mut self, callable: Value, arguments: Value) -> Result<(), Failure> {
        let values = self.tuple(arguments)?;
        let object = match (callable, values) {
            (Value::Global(Global::OrderedDict), []) => Object::Dict(Vec::new()),
            (Value::Global(Global::OrderedDict), [list]) => {
                let Some(Object::List(items)) = self.get(*list) else {
                    return wrong("a dictionary of what is no list");
                };
                let pair = |item: &Value| match self.tuple(*item)? {
                    [key, value] => Ok((*key, *value)),
                    _ => wrong("a dictionary of what are no pairs"),
                };
                let entries: Vec<_> = items.iter().map(pair).collect::<Result<_, _>>()?;
                self.copied += entries.len();
                if self.copied > COPIED {
                    return wrong("too many dictionaries made of lists");
                }
                Object::Dict(entries)
            }
            (Value::Global(Global::Size), [axes]) => match self.tuple(*axes)? {
                axes if axes.len() <= AXES => Object::Tuple(axes.to_vec()),
                _ => return wrong("a shape of too many axes"),
            },
            (Value::Global(Global::Parameter), [tensor, ..]) => match self.get(*tensor) {
                Some(Object::Tensor(tensor)) => Object::Tensor(tensor.clone()),
                _ => return wrong("a parameter that is no tensor"),
            },
            (Value::Global(Global::Tensor), [storage, offset, shape, strides, ..]) => {
                Object::Tensor(Box::new(self.tensor([storage, offset, shape, strides], None)?))
            }
            (
                Value::Global(Global::TypedTensor),
                [storage, offset, shape, strides, _, _, Value::Global(Global::Type(stored)), ..],
            ) => Object::Tensor(Box::new(
                self.tensor([storage, offset, shape, strides], Some(*stored))?,
            )),
            _ => return wrong("a call of what cannot be called so"),
        };
        self.object(object);
        Ok(())
    }

    fn tensor(&self, parts: [&Value; 4], stored: Option<Stored>) -> Result<Tensor, Failure> {
        let [storage, offset, shape, strides] = parts;
        let (Value::At(storage), Some(Object::Storage(_))) = (*storage, self.get(*storage)) else {
            return wrong("a tensor without a storage");
        };
        let number = |value: &Value| match value {
            Value::Int(value) => u64::try_from(*value).or_else(|_| wrong("a negative size")),
            _ => wrong("a size that is no number"),
        };
        let numbers = |tuple: &Value| match self.tuple(*tuple)? {
            axes if axes.len() <= AXES => axes.iter().map(number).collect(),
            _ => wrong("a shape of too many axes"),
        };
        let (offset, shape, strides) = (number(offset)?, numbers(shape)?, numbers(strides)?);
        Ok(Tensor { storage, stored, offset, shape, strides })
    }
}

fn pairs(values: &[Value]) -> Result<Vec<(Value, Value)>, Failure> {
    let (pairs, rest) = values.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    } else {
        wrong("a key without a value")
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).or_else(|_| wrong("a text that is no UTF-8"))
}

/// An integer of any length: those of more than 8 bytes are no sizes.
fn long(bytes: &[u8]) -> Value {
    let fill = if bytes.last().is_some_and(|byte| *byte >= 128) { 255 } else { 0 };
    let mut number = [fill; 8];
    match number.get_mut(..bytes.len()) {
        Some(low) => {
            low.copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(number))
        }
        None => Value::Opaque,
    }
}
