//! Prost's codec with buffers that stay small: a leader has two for each worker. What is large goes in parts.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

use crate::parts::PART_BYTES;

/// What the generated services encode and decode with.
#[derive(Debug)]
pub struct SmallBuffers<Out, In>(PhantomData<(Out, In)>);

impl<Out, In> Default for SmallBuffers<Out, In> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// As large at first as tonic's own, which is two parts; and what is ready is sent on as soon as it is one part, where tonic
/// would gather eight.
fn settings() -> BufferSettings {
    BufferSettings::new(2 * PART_BYTES, PART_BYTES)
}

impl<Out: Message + Send + 'static, In: Message + Default + Send + 'static> Codec for SmallBuffers<Out, In> {
    type Encode = Out;
    type Decode = In;
    type Encoder = ProstEncoder<Out>;
    type Decoder = ProstDecoder<In>;

    fn encoder(&mut self) -> ProstEncoder<Out> {
        ProstEncoder::new(settings())
    }

    fn decoder(&mut self) -> ProstDecoder<In> {
        ProstDecoder::new(settings())
    }
}
