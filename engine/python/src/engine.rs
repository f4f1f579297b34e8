//! The class `Engine`: one method for each command, and the way up for events.

use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sunup_engine_core::commands::Command;
use sunup_engine_core::ice::Credentials;
use sunup_engine_core::ids::{Ids, RoomId, SlotId, TrackId, TransportId};
use sunup_engine_core::params::SlotParams;
use sunup_engine_core::rng::Rng;
use sunup_engine_net::{Config, Engine as Worker, Question};

use crate::convert::{self, narrow, refused, CodecTuple, ExtensionTuple};
use crate::event;

/// A datagram of DTLS must fit one of UDP.
const MAX_DTLS_DATAGRAM: usize = 65_507;

create_exception!(
    sfu._engine,
    WorkerDied,
    PyRuntimeError,
    "The worker ended without being told to."
);

/// One worker thread and one UDP port.
#[pyclass(frozen, module = "sfu._engine")]
pub struct Engine {
    worker: Worker,
    ids: Ids,
    rng: Mutex<Rng>,
    calls: AtomicU64,
}

impl Engine {
    fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn send(&self, command: Command) {
        self.called();
        self.worker.send(command);
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        // Drawing cannot leave it broken.
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures<'py>(&self, py: Python<'py>, question: Question) -> PyResult<Bound<'py, PyDict>> {
        self.called();
        let figures = py.detach(|| self.worker.ask(question)).unwrap_or_default();
        let dict = PyDict::new(py);
        for (name, value) in figures {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, host = "0.0.0.0", port = 0, seed = None))]
    fn new(py: Python<'_>, host: &str, port: i64, seed: Option<u64>) -> PyResult<Self> {
        let host: IpAddr = host
            .parse()
            .map_err(|_| refused(format!("host is no IP address: {host:?}")))?;
        let port = narrow("port", port)?;
        let rng = match seed {
            Some(seed) => Rng::from_seed(seed),
            None => {
                let key = py.import("os")?.call_method1("urandom", (32,))?;
                Rng::from_key(key.extract()?)
            }
        };
        let config = Config {
            host,
            port,
            rng: rng.fork("worker"),
        };
        let worker = py
            .detach(|| Worker::start(config))
            .map_err(|error| os_error(&error, host, port))?;
        Ok(Self {
            worker,
            ids: Ids::new(),
            rng: Mutex::new(rng.fork("api")),
            calls: AtomicU64::new(0),
        })
    }

    #[getter]
    fn port(&self) -> u16 {
        self.worker.port()
    }

    fn fileno(&self) -> i32 {
        self.worker.event_fd().as_raw_fd()
    }

    #[pyo3(signature = (limit = 512))]
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        self.called();
        let mail = self.worker.drain(limit);
        let list = PyList::empty(py);
        for event in mail.events {
            list.append(event::to_tuple(py, event)?)?;
        }
        if mail.dropped > 0 {
            list.append(event::dropped(py, mail.dropped)?)?;
        }
        match mail.died {
            // What it said before it died is delivered first.
            Some(why) if list.is_empty() => Err(WorkerDied::new_err(why)),
            _ => Ok(list),
        }
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.figures(py, Question::Engine)?;
        dict.set_item("api_calls", self.calls.load(Ordering::Relaxed))?;
        Ok(dict)
    }

    fn close(&self, py: Python<'_>) {
        self.called();
        py.detach(|| self.worker.close());
    }

    fn create_room(&self) -> u64 {
        let room = self.ids.room();
        self.send(Command::CreateRoom { room });
        room.0
    }

    fn close_room(&self, room: u64) {
        self.send(Command::CloseRoom { room: RoomId(room) });
    }

    #[pyo3(signature = (room, *, top_n = 3, pinned = Vec::new()), text_signature = "($self, room, *, top_n=3, pinned=())")]
    fn set_audio_policy(&self, room: u64, top_n: i64, pinned: Vec<u64>) -> PyResult<()> {
        self.send(Command::SetAudioPolicy {
            room: RoomId(room),
            top_n: narrow("top_n", top_n)?,
            pinned: pinned.into_iter().map(TrackId).collect(),
        });
        Ok(())
    }

    fn create_transport(&self, room: u64) -> (u64, String, String) {
        let transport = self.ids.transport();
        let credentials = Credentials::generate(&mut self.rng());
        let Credentials { ufrag, pwd } = credentials.clone();
        self.send(Command::CreateTransport {
            transport,
            room: RoomId(room),
            credentials,
        });
        (transport.0, ufrag, pwd)
    }

    fn restart_ice(&self, transport: u64) -> (String, String) {
        let credentials = Credentials::generate(&mut self.rng());
        let Credentials { ufrag, pwd } = credentials.clone();
        self.send(Command::RestartIce {
            transport: TransportId(transport),
            credentials,
        });
        (ufrag, pwd)
    }

    fn set_keys(
        &self,
        transport: u64,
        profile: i64,
        local_key: &[u8],
        local_salt: &[u8],
        remote_key: &[u8],
        remote_salt: &[u8],
    ) -> PyResult<()> {
        let keys = convert::keys(profile, local_key, local_salt, remote_key, remote_salt)?;
        self.send(Command::SetKeys {
            transport: TransportId(transport),
            keys: Box::new(keys),
        });
        Ok(())
    }

    fn send_dtls(&self, transport: u64, datagram: &[u8]) -> PyResult<()> {
        if datagram.is_empty() || datagram.len() > MAX_DTLS_DATAGRAM {
            return Err(refused(format!(
                "a datagram has 1 to {MAX_DTLS_DATAGRAM} bytes, not {}",
                datagram.len()
            )));
        }
        self.send(Command::SendDtls {
            transport: TransportId(transport),
            datagram: datagram.to_vec(),
        });
        Ok(())
    }

    fn close_transport(&self, transport: u64) {
        self.send(Command::CloseTransport {
            transport: TransportId(transport),
        });
    }

    fn transport_stats<'py>(
        &self,
        py: Python<'py>,
        transport: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.figures(py, Question::Transport(TransportId(transport)))
    }

    #[pyo3(
        signature = (transport, kind, *, mid, codecs, extensions, rids = Vec::new(), ssrcs = Vec::new()),
        text_signature = "($self, transport, kind, *, mid, codecs, extensions, rids=(), ssrcs=())"
    )]
    #[allow(clippy::too_many_arguments)] // they are the fields of an m-section, named by keyword
    fn add_track(
        &self,
        transport: u64,
        kind: &str,
        mid: String,
        codecs: Vec<CodecTuple>,
        extensions: Vec<ExtensionTuple>,
        rids: Vec<String>,
        ssrcs: Vec<(i64, i64)>,
    ) -> PyResult<u64> {
        let params = convert::track_params(kind, mid, codecs, extensions, rids, ssrcs)?;
        let track = self.ids.track();
        self.send(Command::AddTrack {
            track,
            transport: TransportId(transport),
            params: Box::new(params),
        });
        Ok(track.0)
    }

    fn pause_track(&self, track: u64, paused: bool) {
        self.send(Command::PauseTrack {
            track: TrackId(track),
            paused,
        });
    }

    #[pyo3(signature = (track, rid = String::new()), text_signature = "($self, track, rid='')")]
    fn request_keyframe(&self, track: u64, rid: String) {
        self.send(Command::RequestKeyframe {
            track: TrackId(track),
            rid,
        });
    }

    fn remove_track(&self, track: u64) {
        self.send(Command::RemoveTrack {
            track: TrackId(track),
        });
    }

    fn track_stats<'py>(&self, py: Python<'py>, track: u64) -> PyResult<Bound<'py, PyDict>> {
        self.figures(py, Question::Track(TrackId(track)))
    }

    #[pyo3(signature = (transport, kind, *, mid, codecs, extensions, auto = false))]
    fn add_slot(
        &self,
        transport: u64,
        kind: &str,
        mid: String,
        codecs: Vec<CodecTuple>,
        extensions: Vec<ExtensionTuple>,
        auto: bool,
    ) -> PyResult<(u64, u32, u32, String)> {
        let codecs = convert::codecs(codecs)?;
        let (ssrc, rtx_ssrc, cname) = {
            let mut rng = self.rng();
            let ssrc = rng.ssrc();
            let with_rtx = codecs.iter().any(|codec| codec.rtx_payload_type.is_some());
            let rtx_ssrc = with_rtx.then(|| rng.other_ssrc(ssrc));
            (ssrc, rtx_ssrc, rng.cname())
        };
        let params = SlotParams {
            kind: convert::media_kind(kind)?,
            mid,
            codecs,
            extensions: convert::extensions(extensions)?,
            auto,
            ssrc,
            rtx_ssrc,
            cname: cname.clone(),
        };
        params.validate().map_err(refused)?;
        let slot = self.ids.slot();
        self.send(Command::AddSlot {
            slot,
            transport: TransportId(transport),
            params: Box::new(params),
        });
        Ok((slot.0, ssrc, rtx_ssrc.unwrap_or(0), cname))
    }

    fn bind_slot(&self, slot: u64, track: u64) {
        self.send(Command::BindSlot {
            slot: SlotId(slot),
            track: (track != 0).then_some(TrackId(track)),
        });
    }

    fn set_slot_size(&self, slot: u64, width: i64, height: i64) -> PyResult<()> {
        self.send(Command::SetSlotSize {
            slot: SlotId(slot),
            width: narrow("width", width)?,
            height: narrow("height", height)?,
        });
        Ok(())
    }

    fn pause_slot(&self, slot: u64, paused: bool) {
        self.send(Command::PauseSlot {
            slot: SlotId(slot),
            paused,
        });
    }

    fn remove_slot(&self, slot: u64) {
        self.send(Command::RemoveSlot { slot: SlotId(slot) });
    }

    fn slot_stats<'py>(&self, py: Python<'py>, slot: u64) -> PyResult<Bound<'py, PyDict>> {
        self.figures(py, Question::Slot(SlotId(slot)))
    }
}

/// An `OSError` with its number, so that Python makes the right subclass of it.
fn os_error(error: &std::io::Error, host: IpAddr, port: u16) -> PyErr {
    let place = format!("{error}: UDP {host} port {port}");
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, place)),
        None => PyOSError::new_err(place),
    }
}
