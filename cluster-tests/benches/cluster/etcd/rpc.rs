//! The little of etcd's v3 interface that is measured: `etcdserverpb.KV`, Put and Range. Fields
//! that are not used are left out; the other end's are skipped.

use http::uri::PathAndQuery;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::Failure;

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// Linearizable: `serializable`, field 7, is false.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// A client. Clones share its connection.
#[derive(Clone)]
pub struct Kv(Grpc<Channel>);

impl Kv {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Kv, Failure> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
        Ok(Kv(Grpc::new(endpoint.connect().await?)))
    }

    /// Writes a value, durably on a majority.
    pub async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let message = PutRequest { key: key.to_vec(), value: value.to_vec() };
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let codec = ProstCodec::<PutRequest, PutResponse>::default();
        self.0.ready().await?;
        self.0.unary(Request::new(message), path, codec).await?;
        Ok(())
    }

    /// Reads a value that is there, linearizably.
    pub async fn get(&mut self, key: &[u8]) -> Result<Vec<u8>, Failure> {
        let message = RangeRequest { key: key.to_vec() };
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Range");
        let codec = ProstCodec::<RangeRequest, RangeResponse>::default();
        self.0.ready().await?;
        let answer = self.0.unary(Request::new(message), path, codec).await?.into_inner();
        let found = answer.kvs.into_iter().next().ok_or("the key is not there")?;
        Ok(found.value)
    }
}
