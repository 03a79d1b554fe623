//! A backup of the table, sent in pieces.

use proto::v1;
use tokio::task::spawn_blocking;
use tokio_stream::Iter;
use tonic::Status;

use super::super::Api;
use super::super::errors::ApiError;

/// How much one message carries.
const PIECE_BYTES: usize = 1024 * 1024;

/// The pieces of a backup.
pub type Stream = Iter<std::vec::IntoIter<Result<v1::BackupPiece, Status>>>;

/// Makes a backup of the table as it is here and now.
pub async fn make(api: &Api, asked: v1::BackupRequest) -> Result<Stream, ApiError> {
    let led = match api.confirmed().await {
        Ok(_) => true,
        Err(_) if asked.unled => false,
        Err(error) => return Err(error),
    };
    let raft = api.raft.clone();
    // A large table takes long.
    let bytes = spawn_blocking(move || raft.backup().map(|backup| backup.to_bytes())).await.expect("it panics not");
    let bytes = bytes.ok_or_else(|| ApiError::NotLeading("this controller belongs to no fleet yet".into()))?;
    let piece = |bytes: &[u8]| Ok(v1::BackupPiece { bytes: bytes.to_vec(), led });
    Ok(tokio_stream::iter(bytes.chunks(PIECE_BYTES).map(piece).collect::<Vec<_>>()))
}
