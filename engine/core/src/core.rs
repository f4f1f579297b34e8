//! The core itself: datagrams, commands and time in, datagrams and events out.
//!
//! [`Core`] owns the tables from path and user name fragment to transport, and gives plaintext to the
//! forwarder and its answers to SRTP. Its owner calls one `handle_…` method at a time and then
//! drains [`Core::outbox`] and [`Core::poll_event`] before the next. The state of a transport is in
//! `transport.rs` and `ice.rs`, of tracks and slots in `forward.rs`.

use std::collections::{HashMap, VecDeque};

use crate::answer::Answer;
use crate::commands::Command;
use crate::counters::Counters;
use crate::demux::{classify, Protocol};
use crate::egress::Egress;
use crate::events::Event;
use crate::forward::{Forwarder, PacketKind};
use crate::ice::{Change, Check, Credentials, Generation, Path, State, PATH_KEPT};
use crate::ids::{IdMap, RoomId, TransportId};
use crate::limiter::Limiter;
use crate::outbox::{Outbox, Ticket};
use crate::rng::Rng;
use crate::srtp::{Keys, OpenError};
use crate::stun::{self, Message};
use crate::transport::Transport;

/// Panics without a transport to blame after which everything is closed.
const MAX_BLIND_PANICS: u32 = 3;

/// All transports of one worker, and what is between them.
pub struct Core {
    rng: Rng,
    rooms: IdMap<RoomId, ()>,
    transports: IdMap<TransportId, Transport>,
    by_ufrag: HashMap<String, TransportId>,
    by_path: HashMap<Path, TransportId>,
    limiter: Limiter,
    forwarder: Forwarder,
    outbox: Outbox,
    events: VecDeque<Event>,
    counters: Counters,
    sweep_at: Option<u64>,
    active: Option<TransportId>,
    blind_panics: u32,
}

impl Core {
    /// An empty core; the same `rng` and the same inputs give the same outputs.
    #[must_use]
    pub fn new(mut rng: Rng) -> Self {
        Self {
            limiter: Limiter::new(&mut rng),
            forwarder: Forwarder::new(rng.fork("forwarder")),
            rng,
            rooms: IdMap::default(),
            transports: IdMap::default(),
            by_ufrag: HashMap::new(),
            by_path: HashMap::new(),
            outbox: Outbox::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
            sweep_at: None,
            active: None,
            blind_panics: 0,
        }
    }

    /// One datagram, and the path over which it came. SRTP is opened where it stands.
    pub fn handle_datagram(&mut self, now: u64, path: Path, datagram: &mut [u8]) {
        self.counters.packets_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        match classify(datagram) {
            Protocol::Stun => self.handle_stun(now, path, datagram),
            Protocol::Dtls => self.handle_dtls(now, path, datagram),
            Protocol::Srtp => self.handle_srtp(now, path, PacketKind::Rtp, datagram),
            Protocol::Srtcp => self.handle_srtp(now, path, PacketKind::Rtcp, datagram),
            Protocol::Unknown => self.counters.dropped_unknown_protocol += 1,
        }
        self.active = None;
    }

    /// One order of the owner.
    pub fn handle_command(&mut self, now: u64, command: Command) {
        self.counters.commands += 1;
        if self.apply(now, command).is_none() {
            self.counters.stale_commands += 1;
        }
        self.active = None;
    }

    /// Applies the deadlines that have passed; see [`Core::next_timeout`].
    pub fn handle_timeout(&mut self, now: u64) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
        let mut egress = Egress {
            transports: &mut self.transports,
            outbox: &mut self.outbox,
            counters: &mut self.counters,
        };
        self.forwarder.handle_timeout(now, &mut egress);
        // Not after a datagram: those go well while a timer panics again and again.
        self.blind_panics = 0;
    }

    /// When [`Core::handle_timeout`] wants to be called; in the past means at once.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        [self.sweep_at, self.forwarder.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Datagrams to be sent. The owner clears it when they are.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Forgets the datagrams of the last turn and keeps the memory.
    pub fn clear_outbox(&mut self) {
        self.outbox.clear();
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events
            .pop_front()
            .or_else(|| self.forwarder.poll_event())
    }

    /// Figures of the whole core.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Transports that are not closed.
    #[must_use]
    pub fn transports(&self) -> usize {
        self.transports.len()
    }

    /// One transport, for its figures.
    #[must_use]
    pub fn transport(&self, transport: TransportId) -> Option<&Transport> {
        self.transports.get(&transport)
    }

    /// Tracks and slots, for their figures.
    #[must_use]
    pub fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    /// Call this after one of the other methods panicked: it closes the transport that was being
    /// served, so that one poisoned peer costs one peer.
    ///
    /// A panic that hit no transport in particular is tolerated a few times; when it keeps
    /// coming back, every transport is closed and the forwarding table started anew.
    pub fn recover(&mut self, now: u64) {
        self.counters.panics += 1;
        match self.active.take() {
            Some(transport) => {
                self.close_transport(now, transport);
            }
            None => {
                self.blind_panics += 1;
                if self.blind_panics >= MAX_BLIND_PANICS {
                    self.start_over();
                }
            }
        }
    }

    fn start_over(&mut self) {
        self.blind_panics = 0;
        self.forwarder = Forwarder::new(self.rng.fork("forwarder after panics"));
        self.by_path.clear();
        self.by_ufrag.clear();
        for (transport, _) in self.transports.drain() {
            self.events.push_back(Event::TransportState {
                transport,
                state: State::Closed,
            });
        }
        self.rooms.clear();
    }

    // Commands. None means that the object is gone.

    fn apply(&mut self, now: u64, command: Command) -> Option<()> {
        let forwarder = &mut self.forwarder;
        match command {
            Command::CreateRoom { room } => {
                self.rooms.insert(room, ());
                forwarder.add_room(room);
            }
            Command::CloseRoom { room } => self.close_room(now, room)?,
            Command::SetAudioPolicy {
                room,
                top_n,
                pinned,
            } => {
                self.rooms.get(&room)?;
                forwarder.set_audio_policy(now, room, top_n, pinned);
            }
            Command::CreateTransport {
                transport,
                room,
                credentials,
            } => self.create_transport(transport, room, &credentials)?,
            Command::RestartIce {
                transport,
                credentials,
            } => self.restart_ice(now, transport, &credentials)?,
            Command::SetKeys { transport, keys } => self.set_keys(now, transport, *keys)?,
            Command::SendDtls {
                transport,
                datagram,
            } => self.send_dtls(transport, &datagram)?,
            Command::CloseTransport { transport } => self.close_transport(now, transport)?,
            Command::AddTrack {
                track,
                transport,
                params,
            } => {
                self.transports.get(&transport)?;
                self.active = Some(transport);
                forwarder.add_track(now, track, transport, &params);
            }
            Command::PauseTrack { track, paused } => forwarder.pause_track(now, track, paused),
            Command::RequestKeyframe { track, rid } => {
                forwarder.request_keyframe(now, track, &rid);
            }
            Command::RemoveTrack { track } => forwarder.remove_track(now, track),
            Command::AddSlot {
                slot,
                transport,
                params,
            } => {
                self.transports.get(&transport)?;
                self.active = Some(transport);
                forwarder.add_slot(now, slot, transport, &params);
            }
            Command::BindSlot { slot, track } => forwarder.bind_slot(now, slot, track),
            Command::SetSlotSize {
                slot,
                width,
                height,
            } => forwarder.set_slot_size(now, slot, width, height),
            Command::PauseSlot { slot, paused } => forwarder.pause_slot(now, slot, paused),
            Command::RemoveSlot { slot } => forwarder.remove_slot(now, slot),
            #[cfg(feature = "fault-injection")]
            Command::Panic { transport } => {
                self.active = self
                    .transports
                    .contains_key(&transport)
                    .then_some(transport);
                panic!("ordered by a test");
            }
        }
        Some(())
    }

    fn create_transport(
        &mut self,
        id: TransportId,
        room: RoomId,
        credentials: &Credentials,
    ) -> Option<()> {
        self.rooms.get(&room)?;
        self.by_ufrag.insert(credentials.ufrag.clone(), id);
        self.transports
            .insert(id, Transport::new(room, credentials));
        self.forwarder.add_transport(id, room);
        Some(())
    }

    fn restart_ice(&mut self, now: u64, id: TransportId, credentials: &Credentials) -> Option<()> {
        let transport = self.transports.get_mut(&id)?;
        let change = transport.agent.restart(now, credentials);
        self.by_ufrag.insert(credentials.ufrag.clone(), id);
        self.apply_change(now, id, change);
        Some(())
    }

    fn set_keys(&mut self, now: u64, id: TransportId, keys: Keys) -> Option<()> {
        let transport = self.transports.get_mut(&id)?;
        let state = transport.set_keys(keys);
        self.changed_to(now, id, state);
        Some(())
    }

    fn send_dtls(&mut self, id: TransportId, datagram: &[u8]) -> Option<()> {
        let transport = self.transports.get_mut(&id)?;
        match transport.send_dtls(&mut self.outbox, datagram) {
            Ok(len) => {
                self.counters.packets_out += 1;
                self.counters.bytes_out += len as u64;
            }
            Err(_) => self.counters.dropped_dtls_unsent += 1,
        }
        Some(())
    }

    fn close_room(&mut self, now: u64, room: RoomId) -> Option<()> {
        self.rooms.remove(&room)?;
        let inside: Vec<TransportId> = self
            .transports
            .iter()
            .filter(|(_, transport)| transport.room == room)
            .map(|(&id, _)| id)
            .collect();
        for id in inside {
            self.close_transport(now, id);
        }
        self.forwarder.remove_room(now, room);
        Some(())
    }

    fn close_transport(&mut self, now: u64, id: TransportId) -> Option<()> {
        let mut transport = self.transports.remove(&id)?;
        for ufrag in transport.agent.ufrags() {
            self.by_ufrag.remove(ufrag);
        }
        for path in transport.agent.paths() {
            if self.by_path.get(&path) == Some(&id) {
                self.by_path.remove(&path);
            }
        }
        if let Some(state) = transport.agent.close() {
            self.events.push_back(Event::TransportState {
                transport: id,
                state,
            });
        }
        // Last, because it is the only call here that leaves this file.
        self.forwarder.remove_transport(now, id);
        Some(())
    }

    // Datagrams.

    fn handle_stun(&mut self, now: u64, path: Path, datagram: &[u8]) {
        let message = match Message::parse(datagram) {
            Ok(message)
                if message.class == stun::Class::Request && message.method == stun::BINDING =>
            {
                message
            }
            _ => {
                self.counters.dropped_stun_malformed += 1;
                return;
            }
        };
        // "ours:theirs" (RFC 8445 section 7.2.2).
        let ufrag = message.username.and_then(|name| name.split(':').next());
        let known = ufrag.and_then(|ufrag| Some((ufrag, *self.by_ufrag.get(ufrag)?)));
        let Some((ufrag, id)) = known else {
            self.counters.dropped_stun_unknown += 1;
            return;
        };
        let owner = self.by_path.get(&path).copied();
        let address = path.remote.ip();
        if owner.is_none() && !self.limiter.allows(now, address, id) {
            self.counters.dropped_stun_limited += 1;
            return;
        }
        let Some(transport) = self.transports.get_mut(&id) else {
            self.counters.dropped_stun_unknown += 1;
            return;
        };
        self.active = Some(id);
        let Some((key, generation)) = transport.agent.key(ufrag) else {
            self.counters.dropped_stun_unknown += 1;
            return;
        };
        if !message.verify(key) {
            self.limiter.charge(now, address, id);
            self.counters.dropped_stun_inauthentic += 1;
            return;
        }
        let key = key.clone();
        let answer = Answer::to(&message);
        if transport.agent.has_seen(&message.transaction) {
            // Whoever repeats a check whose answer got lost is answered, and nothing changes. From
            // where no other check came it is a copy of somebody else's, and costs what a guess
            // costs; an answer would sign for the peer an address that is not its own.
            if owner != Some(id) {
                self.limiter.charge(now, address, id);
                self.counters.dropped_stun_repeated += 1;
                return;
            }
        } else if answer == Answer::Success {
            if let Some(owner) = owner.filter(|&owner| owner != id) {
                if self.lives_on(now, owner, path) {
                    self.counters.dropped_stun_path_taken += 1;
                    return;
                }
                self.by_path.remove(&path);
            }
            self.accept_check(now, id, path, &message, generation);
        }
        self.answer_check(id, path, &message, answer, &key);
    }

    /// Whether a transport still uses a path. Another one may not take it then,
    /// or who knows a neighbour's address could cut him off by forging it.
    fn lives_on(&self, now: u64, id: TransportId, path: Path) -> bool {
        self.transports
            .get(&id)
            .and_then(|transport| transport.agent.last_sign(path))
            .is_some_and(|at| now < at + PATH_KEPT)
    }

    fn accept_check(
        &mut self,
        now: u64,
        id: TransportId,
        path: Path,
        message: &Message<'_>,
        generation: Generation,
    ) {
        let Some(transport) = self.transports.get_mut(&id) else {
            return;
        };
        let check = Check {
            transaction: message.transaction,
            nominated: message.use_candidate,
            priority: message.priority.unwrap_or(0),
            generation,
        };
        let change = transport.agent.on_check(now, path, check);
        self.by_path.insert(path, id);
        self.apply_change(now, id, change);
    }

    fn answer_check(
        &mut self,
        id: TransportId,
        path: Path,
        message: &Message<'_>,
        answer: Answer,
        key: &stun::IntegrityKey,
    ) {
        let sent = self.outbox.push(
            path,
            &mut Ticket::default(),
            // Never more than was asked with, or checks could be aimed at others.
            message.wire_len(),
            |room| answer.write(message, path, key, room).ok_or(()),
        );
        if let Ok(len) = sent {
            self.counters.packets_out += 1;
            self.counters.bytes_out += len as u64;
            self.counters.checks_answered += 1;
            if let Some(transport) = self.transports.get_mut(&id) {
                transport.counters.checks_answered += 1;
            }
        }
    }

    fn handle_dtls(&mut self, now: u64, path: Path, datagram: &[u8]) {
        let owner = self.by_path.get(&path).copied();
        let Some((id, transport)) = owner.and_then(|id| Some((id, self.transports.get_mut(&id)?)))
        else {
            self.counters.dropped_unverified += 1;
            return;
        };
        if !transport.admit_dtls(now, datagram.len()) {
            self.counters.dropped_dtls_flood += 1;
            return;
        }
        self.events.push_back(Event::DtlsRecord {
            transport: id,
            datagram: datagram.to_vec(),
        });
    }

    fn handle_srtp(&mut self, now: u64, path: Path, kind: PacketKind, datagram: &mut [u8]) {
        let owner = self.by_path.get(&path).copied();
        let Some((id, transport)) = owner.and_then(|id| Some((id, self.transports.get_mut(&id)?)))
        else {
            self.counters.dropped_unverified += 1;
            return;
        };
        self.active = Some(id);
        let len = match transport.open(kind, datagram) {
            Ok(Some(len)) => len,
            Ok(None) => {
                self.counters.dropped_srtp_not_ready += 1;
                return;
            }
            Err(error) => {
                self.count_refused(error);
                return;
            }
        };
        let state = transport.agent.on_media(now, path);
        if state.is_some() {
            self.changed_to(now, id, state);
        }
        let Some(packet) = datagram.get(..len) else {
            return;
        };
        let mut egress = Egress {
            transports: &mut self.transports,
            outbox: &mut self.outbox,
            counters: &mut self.counters,
        };
        match kind {
            PacketKind::Rtp => self.forwarder.handle_rtp(now, id, packet, &mut egress),
            PacketKind::Rtcp => self.forwarder.handle_rtcp(now, id, packet, &mut egress),
        }
    }

    fn count_refused(&mut self, error: OpenError) {
        let counters = &mut self.counters;
        match error {
            OpenError::Malformed => counters.dropped_srtp_malformed += 1,
            OpenError::Replayed => counters.dropped_srtp_replayed += 1,
            OpenError::TooOld => counters.dropped_srtp_too_old += 1,
            OpenError::Inauthentic => counters.dropped_srtp_inauthentic += 1,
            OpenError::TooManySources => counters.dropped_srtp_sources += 1,
        }
    }

    // Time and state.

    /// Applies what is due in every agent. It stays due until all are done: a timer that panics costs its
    /// own transport, and the others' come in the next turn.
    fn sweep(&mut self, now: u64) {
        let due: Vec<TransportId> = self
            .transports
            .iter()
            .filter(|(_, transport)| transport.agent.next_timeout().is_some_and(|at| at <= now))
            .map(|(&id, _)| id)
            .collect();
        for id in due {
            self.active = Some(id);
            if let Some(transport) = self.transports.get_mut(&id) {
                let change = transport.agent.handle_timeout(now);
                self.apply_change(now, id, change);
            }
        }
        self.active = None;
        self.sweep_at = self
            .transports
            .values()
            .filter_map(|transport| transport.agent.next_timeout())
            .min();
    }

    fn apply_change(&mut self, now: u64, id: TransportId, change: Change) {
        if let Some(ufrag) = change.forget_ufrag {
            self.by_ufrag.remove(&ufrag);
        }
        for path in change.forget_paths {
            if self.by_path.get(&path) == Some(&id) {
                self.by_path.remove(&path);
            }
        }
        self.changed_to(now, id, change.state);
    }

    fn changed_to(&mut self, now: u64, id: TransportId, state: Option<State>) {
        let Some(transport) = self.transports.get_mut(&id) else {
            return;
        };
        if let Some(at) = transport.agent.next_timeout() {
            self.sweep_at = Some(self.sweep_at.map_or(at, |known| known.min(at)));
        }
        let ready = transport.can_send_media();
        let flipped = ready != transport.ready;
        transport.ready = ready;
        if let Some(state) = state {
            self.events.push_back(Event::TransportState {
                transport: id,
                state,
            });
        }
        if flipped {
            self.forwarder.set_transport_ready(now, id, ready);
        }
    }
}
