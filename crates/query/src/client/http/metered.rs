//! A connection on which so many bytes may come and no more, until more are allowed.

use super::super::stream::Stream;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bytes of a connection, counted as they come.
pub(super) struct Metered {
    stream: Stream,
    left: Arc<AtomicUsize>,
}

/// How many bytes may still come.
#[derive(Debug)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Metered {
    /// Nothing is allowed yet.
    pub(super) fn new(stream: Stream) -> (Self, Allowance) {
        let left = Arc::new(AtomicUsize::new(0));
        (Self { stream, left: left.clone() }, Allowance(left))
    }
}

impl Allowance {
    /// That many from now on, whatever is left.
    pub(super) fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Whether the peer has sent more.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let came = buf.filled().len() - before;
        // One reader, and a writer that sets it before a request: nothing is counted twice.
        let left = self.left.load(Ordering::Relaxed).saturating_sub(came);
        self.left.store(left, Ordering::Relaxed);
        match came > 0 && left == 0 {
            true => Poll::Ready(Err(ErrorKind::InvalidData.into())),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
