// A WebRTC client of a few lines for tests: publishes one colour and one tone, opens fixed slots,
// and writes down every frame that each slot shows. It speaks to no server; the test carries its
// offers and answers. Names follow docs/glossary.md.
window.Peer = class {
  constructor() {
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.slots = new Map(); // label → {video, frames: [[rtpTimestamp, r, g, b, width, now]]}
    this.labels = []; // in the order of the transceivers
    this.audio = new AudioContext();
  }

  // A canvas in one colour with a moving bar, so that every frame differs.
  picture(colour, width, height, rate) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    let step = 0;
    const draw = () => {
      context.fillStyle = colour;
      context.fillRect(0, 0, width, height);
      context.fillStyle = "#fff";
      step = (step + 1) % 50;
      context.fillRect((step * width) / 50, 0, width / 50, height / 10);
    };
    draw();
    setInterval(draw, 1000 / rate);
    return canvas.captureStream(rate).getVideoTracks()[0];
  }

  tone(frequency) {
    const oscillator = this.audio.createOscillator();
    const out = this.audio.createMediaStreamDestination();
    oscillator.frequency.value = frequency;
    oscillator.connect(out);
    oscillator.start();
    this.oscillator = oscillator;
    return out.stream.getAudioTracks()[0];
  }

  add(label, track, init) {
    const transceiver = this.pc.addTransceiver(track, init);
    this.labels.push([label, transceiver]);
    const video = transceiver.receiver.track.kind === "video";
    const names = video ? ["video/VP8", "video/rtx", ...(this.h264 ? ["video/H264"] : [])] : ["audio/opus"];
    const codecs = RTCRtpReceiver.getCapabilities(video ? "video" : "audio").codecs;
    transceiver.setCodecPreferences(codecs.filter((codec) => names.includes(codec.mimeType) &&
      (codec.mimeType !== "video/H264" || /packetization-mode=1.*profile-level-id=42e0/.test(codec.sdpFmtpLine))));
    return transceiver;
  }

  publish({ colour, tone, width = 640, height = 360, rate = 25, simulcast = false, h264 = false }) {
    this.h264 = h264;
    if (tone) this.add("mic", this.tone(tone), { direction: "sendonly" });
    if (colour) {
      const layers = [{ rid: "f" }, { rid: "h", scaleResolutionDownBy: 2 }, { rid: "q", scaleResolutionDownBy: 4 }];
      const track = this.picture(colour, width, height, rate);
      this.camera = this.add("camera", track, { direction: "sendonly", ...(simulcast ? { sendEncodings: layers } : {}) });
    }
  }

  receive({ audio = 0, video = 0, screen = 0, from = 0 }) {
    const add = (kind, count, first) => {
      for (let number = first; number < first + count; number++) {
        this.open(`${kind}-${number}`, this.add(`${kind}-${number}`, kind === "audio" ? "audio" : "video", { direction: "recvonly" }));
      }
    };
    add("audio", audio, from);
    add("video", video, from);
    add("screen", screen, from);
  }

  open(label, transceiver) {
    const element = document.createElement(transceiver.receiver.track.kind);
    Object.assign(element, { autoplay: true, playsInline: true, muted: element.tagName === "VIDEO" });
    element.srcObject = new MediaStream([transceiver.receiver.track]);
    document.body.append(element);
    const slot = { element, transceiver, frames: [] };
    this.slots.set(label, slot);
    if (element.tagName === "VIDEO") this.watch(slot);
    else this.listen(slot, transceiver.receiver.track);
  }

  watch(slot) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 2, height: 2 });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const seen = (now, { rtpTimestamp }) => {
      slot.element.requestVideoFrameCallback(seen);
      // On a busy machine the callback may run when the next picture is already there. A VideoFrame
      // carries the timestamp of its own pixels, so the two below always belong together.
      const picture = new VideoFrame(slot.element);
      const timestamp = picture.metadata().rtpTimestamp ?? rtpTimestamp;
      const { displayWidth: width, displayHeight: height } = picture;
      context.drawImage(picture, width / 4, height / 4, width / 2, height / 2, 0, 0, 2, 2);
      picture.close();
      if (slot.frames.at(-1)?.[0] === timestamp) return;
      slot.frames.push([timestamp, ...context.getImageData(0, 0, 1, 1).data.slice(0, 3), width, now]);
    };
    slot.element.requestVideoFrameCallback(seen);
  }

  listen(slot, track) {
    slot.analyser = this.audio.createAnalyser();
    slot.analyser.fftSize = 4096;
    slot.analyser.smoothingTimeConstant = 0;
    this.audio.createMediaStreamSource(new MediaStream([track])).connect(slot.analyser);
  }

  // Levels in dB of some frequencies on an audio slot.
  hear(label, frequencies) {
    const { analyser } = this.slots.get(label);
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const width = this.audio.sampleRate / analyser.fftSize;
    return frequencies.map((wanted) => {
      const middle = Math.round(wanted / width);
      return Math.max(-999, ...bins.slice(middle - 2, middle + 3));
    });
  }

  async offer() {
    await this.audio.resume();
    await this.pc.setLocalDescription();
    if (this.pc.iceGatheringState !== "complete") {
      await new Promise((resolve) => this.pc.addEventListener("icegatheringstatechange",
        () => this.pc.iceGatheringState === "complete" && resolve()));
    }
    return { sdp: this.pc.localDescription.sdp,
      labels: Object.fromEntries(this.labels.map(([label, { mid }]) => [mid, label])) };
  }

  accept(sdp) {
    return this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  frames(label, from = 0) {
    return this.slots.get(label).frames.slice(from);
  }

  noteCounts(label) {
    this.counts = []; // ten times a second: {sent, arrived}, each [Unix ms, frames]
    setInterval(async () => {
      const { camera } = await this.stats("outbound-rtp");
      const slot = (await this.stats("inbound-rtp"))[label];
      this.counts.push({ sent: [camera.timestamp, camera.framesEncoded], arrived: [slot.timestamp, slot.framesDecoded] });
    }, 100);
  }

  async stats(type) {
    const byMid = new Map(this.labels.map(([label, { mid }]) => [mid, label]));
    const found = {};
    for (const entry of (await this.pc.getStats()).values()) {
      if (entry.type === type) found[`${byMid.get(entry.mid) ?? ""}${entry.rid ? `:${entry.rid}` : ""}`] = entry;
    }
    return found;
  }
};
window.peer = new window.Peer();
