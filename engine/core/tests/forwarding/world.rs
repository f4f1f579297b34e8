//! The clock, the links and the people round one forwarder.

use std::collections::BTreeMap;

use sunup_engine_core::events::Event;
use sunup_engine_core::forward::{Forwarder, PacketKind, Sink};
use sunup_engine_core::ids::{RoomId, SlotId, TrackId, TransportId};
use sunup_engine_core::params::{MediaKind, SlotParams};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::rtcp;
use sunup_engine_netem::{Conditions, Link};

use crate::publisher::{audio_codecs, extensions, video_codecs, Camera, Microphone};
use crate::receiver::Receiver;

pub const ROOM: RoomId = RoomId(1);
const MS: u64 = 1_000;

/// A network that only delays.
pub const GOOD: Conditions = Conditions {
    delay_us: 10_000,
    jitter_us: 0,
    loss: 0.0,
    burst: 1.0,
    reorder: 0.0,
    reorder_us: 0,
    duplicate: 0.0,
};

/// A person with one transport.
pub struct Person {
    pub transport: TransportId,
    pub camera: Option<(TrackId, Camera)>,
    pub microphone: Option<(TrackId, Microphone)>,
    pub slots: BTreeMap<SlotId, Receiver>,
    pub up: Link,
    pub down: Link,
    /// RTCP that arrived from the server.
    pub feedback_packets: u64,
    pub pli: u64,
    pub nacked: u64,
    pub goodbyes: Vec<u32>,
    tcc: u16,
    feedback_us: u64,
}

/// Everything, at one instant.
pub struct World {
    pub now_us: u64,
    pub forwarder: Forwarder,
    pub people: BTreeMap<u64, Person>,
    /// (when, what) since the beginning.
    pub events: Vec<(u64, Event)>,
    seed: u64,
    next_slot: u64,
}

/// Packets on their way out of the forwarder.
#[derive(Default)]
struct Out(Vec<(TransportId, PacketKind, Vec<u8>)>);

impl Sink for Out {
    fn push(
        &mut self,
        to: TransportId,
        kind: PacketKind,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let mut bytes = vec![0xee; len];
        write(&mut bytes);
        self.0.push((to, kind, bytes));
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let mut forwarder = Forwarder::new(Rng::from_seed(seed));
        forwarder.add_room(ROOM);
        let now_us = 5_000_000;
        Self {
            now_us,
            forwarder,
            people: BTreeMap::new(),
            events: Vec::new(),
            seed,
            next_slot: 1,
        }
    }

    /// Someone with a ready transport and nothing on it.
    pub fn join(&mut self, number: u64, conditions: Conditions) {
        let transport = TransportId(number);
        self.forwarder.add_transport(transport, ROOM);
        self.forwarder
            .set_transport_ready(self.now_us, transport, true);
        let person = Person {
            transport,
            camera: None,
            microphone: None,
            slots: BTreeMap::new(),
            up: Link::new(self.seed ^ number << 8, conditions),
            down: Link::new(self.seed ^ number << 8 ^ 1, conditions),
            feedback_packets: 0,
            pli: 0,
            nacked: 0,
            goodbyes: Vec::new(),
            tcc: 65_500,
            feedback_us: 0,
        };
        self.people.insert(number, person);
    }

    pub fn leave(&mut self, number: u64) {
        let person = self.people.remove(&number).unwrap();
        self.forwarder
            .remove_transport(self.now_us, person.transport);
        self.collect_events();
    }

    pub fn add_camera(&mut self, number: u64, camera: Camera) -> TrackId {
        let id = TrackId(number * 10 + 1);
        let transport = self.person(number).transport;
        self.forwarder
            .add_track(self.now_us, id, transport, &camera.params());
        self.person(number).camera = Some((id, camera));
        id
    }

    pub fn add_microphone(&mut self, number: u64, microphone: Microphone) -> TrackId {
        let id = TrackId(number * 10 + 2);
        let transport = self.person(number).transport;
        self.forwarder
            .add_track(self.now_us, id, transport, &microphone.params());
        self.person(number).microphone = Some((id, microphone));
        id
    }

    pub fn add_video_slot(&mut self, number: u64) -> SlotId {
        self.add_slot(number, MediaKind::Video, false)
    }

    pub fn add_lanes(&mut self, number: u64, count: usize) -> Vec<SlotId> {
        (0..count)
            .map(|_| self.add_slot(number, MediaKind::Audio, true))
            .collect()
    }

    fn add_slot(&mut self, number: u64, kind: MediaKind, auto: bool) -> SlotId {
        let id = SlotId(self.next_slot);
        self.next_slot += 1;
        let ssrc = 500_000 + id.0 as u32 * 2;
        let rtx_ssrc = kind.is_video().then_some(ssrc + 1);
        let params = SlotParams {
            kind,
            mid: id.0.to_string(),
            codecs: if kind.is_video() {
                video_codecs()
            } else {
                audio_codecs()
            },
            extensions: extensions(),
            auto,
            ssrc,
            rtx_ssrc,
            cname: "c".into(),
        };
        params.validate().unwrap();
        let transport = self.person(number).transport;
        self.forwarder.add_slot(self.now_us, id, transport, &params);
        self.person(number)
            .slots
            .insert(id, Receiver::new(ssrc, rtx_ssrc));
        id
    }

    pub fn bind(&mut self, slot: SlotId, track: TrackId) {
        self.forwarder.bind_slot(self.now_us, slot, Some(track));
        self.collect_events();
    }

    pub fn size(&mut self, slot: SlotId, width: u32, height: u32) {
        self.forwarder
            .set_slot_size(self.now_us, slot, width, height);
        self.collect_events();
    }

    pub fn person(&mut self, number: u64) -> &mut Person {
        self.people.get_mut(&number).unwrap()
    }

    pub fn camera(&mut self, number: u64) -> &mut Camera {
        &mut self.person(number).camera.as_mut().unwrap().1
    }

    pub fn microphone(&mut self, number: u64) -> &mut Microphone {
        &mut self.person(number).microphone.as_mut().unwrap().1
    }

    pub fn receiver(&self, slot: SlotId) -> &Receiver {
        self.people
            .values()
            .find_map(|person| person.slots.get(&slot))
            .unwrap()
    }

    pub fn figure(&self, figures: Option<Vec<(&'static str, u64)>>, name: &str) -> u64 {
        figures
            .unwrap()
            .into_iter()
            .find(|figure| figure.0 == name)
            .unwrap()
            .1
    }

    pub fn slot_figure(&self, slot: SlotId, name: &str) -> u64 {
        self.figure(self.forwarder.slot_figures(slot), name)
    }

    pub fn track_figure(&self, track: TrackId, name: &str) -> u64 {
        self.figure(self.forwarder.track_figures(track), name)
    }

    /// (binding, track, timestamp) of each SLOT_BOUND of a slot.
    pub fn bindings(&self, slot: SlotId) -> Vec<(u32, Option<TrackId>, u32)> {
        let of = |event: &Event| match event {
            Event::SlotBound {
                slot: id,
                track,
                rtp_timestamp,
                binding,
            } if *id == slot => Some((*binding, *track, *rtp_timestamp)),
            _ => None,
        };
        self.events
            .iter()
            .filter_map(|(_, event)| of(event))
            .collect()
    }

    /// Lets time pass, millisecond by millisecond.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now_us += MS;
            self.step();
        }
    }

    fn step(&mut self) {
        let now_us = self.now_us;
        let mut out = Out::default();
        let Self {
            people, forwarder, ..
        } = self;
        for person in people.values_mut() {
            person.publish(now_us);
            person.complain(now_us);
            while let Some(datagram) = person.up.receive(now_us) {
                // RFC 5761 section 4: RTCP packet types lie where no payload type does.
                if (192..224).contains(&datagram[1]) {
                    forwarder.handle_rtcp(now_us, person.transport, &datagram, &mut out);
                } else {
                    forwarder.handle_rtp(now_us, person.transport, &datagram, &mut out);
                }
            }
        }
        if forwarder.next_timeout().is_some_and(|due| due <= now_us) {
            forwarder.handle_timeout(now_us, &mut out);
        }
        for (to, kind, bytes) in out.0 {
            let person = people
                .get_mut(&to.0)
                .expect("a packet for someone who left");
            let is_rtcp = (192..224).contains(&bytes[1]);
            assert_eq!(is_rtcp, kind == PacketKind::Rtcp);
            assert!(bytes.len() <= 1_250, "{} bytes", bytes.len());
            person.down.send(now_us, &bytes);
        }
        for person in people.values_mut() {
            while let Some(datagram) = person.down.receive(now_us) {
                person.receive(now_us, &datagram);
            }
        }
        self.collect_events();
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.forwarder.poll_event() {
            self.events.push((self.now_us, event));
        }
    }
}

impl Person {
    fn publish(&mut self, now_us: u64) {
        let Self {
            camera,
            microphone,
            up,
            tcc,
            ..
        } = self;
        if let Some((_, camera)) = camera.as_mut().filter(|entry| entry.1.next_us() <= now_us) {
            camera
                .tick(now_us, tcc)
                .iter()
                .for_each(|packet| up.send(now_us, packet));
        }
        if let Some((_, microphone)) = microphone
            .as_mut()
            .filter(|entry| entry.1.next_us() <= now_us)
        {
            microphone
                .tick(now_us, tcc)
                .iter()
                .for_each(|packet| up.send(now_us, packet));
        }
    }

    /// Sends padding on the layers' own SSRCs.
    pub fn probe(&mut self, now_us: u64) {
        let Self {
            camera, up, tcc, ..
        } = self;
        if let Some((_, camera)) = camera {
            camera
                .padding(tcc)
                .iter()
                .for_each(|packet| up.send(now_us, packet));
        }
    }

    fn complain(&mut self, now_us: u64) {
        if now_us < self.feedback_us + 5 * MS {
            return;
        }
        self.feedback_us = now_us;
        for receiver in self.slots.values_mut() {
            let datagram = receiver.feedback(now_us, receiver.rtx_ssrc.is_some());
            if !datagram.is_empty() {
                self.up.send(now_us, &datagram);
            }
        }
    }

    fn receive(&mut self, now_us: u64, datagram: &[u8]) {
        if !(192..224).contains(&datagram[1]) {
            let ssrc = u32::from_be_bytes(*datagram[8..].first_chunk().unwrap());
            let mine = |slot: &&mut Receiver| slot.ssrc == ssrc || slot.rtx_ssrc == Some(ssrc);
            let receiver = self.slots.values_mut().find(mine);
            receiver
                .expect("an SSRC that no slot has")
                .receive(now_us, datagram);
            return;
        }
        for packet in rtcp::parse(datagram) {
            match &packet {
                rtcp::Packet::TransportFeedback(_) => self.feedback_packets += 1,
                rtcp::Packet::PictureLossIndication { .. } => self.pli += 1,
                rtcp::Packet::Nack { lost, .. } => self.nacked += lost.iter().count() as u64,
                rtcp::Packet::Goodbye(ssrcs) => self.goodbyes.extend(ssrcs.iter()),
                rtcp::Packet::SenderReport { ssrc, info, .. } => {
                    let receiver = self.slots.values_mut().find(|slot| slot.ssrc == *ssrc);
                    receiver
                        .expect("a report of no slot")
                        .sender_report(now_us, info);
                }
                _ => {}
            }
            if let Some((_, camera)) = &mut self.camera {
                let again = camera.feedback(&packet, &mut self.tcc);
                again.iter().for_each(|packet| self.up.send(now_us, packet));
            }
        }
    }
}
