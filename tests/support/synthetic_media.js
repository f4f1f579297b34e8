// Injected before a page's own scripts: the camera becomes one solid colour with a moving bar, the
// microphone one pure tone, the screen another colour. The test can then tell by pixels and by
// spectrum who is seen and heard. It also keeps a list of the page's peer connections and can
// point the ICE candidates of an answer at a relay.
//
// Parameters are put in front by the test: const SYNTHETIC = {camera, screen, tone, relayPort}.
(() => {
  const peerConnections = [];
  const live = { peerConnections, relayPort: SYNTHETIC.relayPort ?? null };
  window.__synthetic = live;

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      peerConnections.push(this);
    }
    setRemoteDescription(description) {
      if (live.relayPort && description?.sdp) {
        const sdp = description.sdp.replace(
          /(a=candidate:\S+ \d+ udp \d+ \S+ )\d+( typ host)/gi, `$1${live.relayPort}$2`);
        return super.setRemoteDescription({ type: description.type, sdp });
      }
      return super.setRemoteDescription(description);
    }
  };

  // Enough to see that a picture moves: every frame costs an encoder and several decoders.
  const RATE = 5;
  const picture = (colour, width, height) => {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    let step = 0;
    const draw = () => {
      context.fillStyle = colour;
      context.fillRect(0, 0, width, height);
      context.fillStyle = "#ffffff";
      step = (step + 1) % 40;
      context.fillRect((step * width) / 40, height - height / 10, width / 40, height / 10);
    };
    draw();
    setInterval(draw, 1000 / RATE);
    return canvas.captureStream(RATE).getVideoTracks()[0];
  };

  let audio = null;
  const tone = () => {
    audio ??= new AudioContext();
    audio.resume();
    const oscillator = audio.createOscillator();
    oscillator.frequency.value = SYNTHETIC.tone;
    const gain = audio.createGain();
    gain.gain.value = 0.4;
    const out = audio.createMediaStreamDestination();
    oscillator.connect(gain).connect(out);
    oscillator.start();
    return out.stream.getAudioTracks()[0];
  };

  const media = navigator.mediaDevices;
  if (!media) return;
  media.getUserMedia = async (wanted) => {
    const tracks = [];
    if (wanted?.audio) tracks.push(tone());
    if (wanted?.video) tracks.push(picture(SYNTHETIC.camera, 1280, 720));
    return new MediaStream(tracks);
  };
  media.getDisplayMedia = async () => new MediaStream([picture(SYNTHETIC.screen, 1280, 720)]);

  // --- what the test asks -------------------------------------------------------------------

  const accessibleName = (element) =>
    element.getAttribute("aria-label") ??
    (element.getAttribute("aria-labelledby") ?? "").split(/\s+/)
      .map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();

  live.tile = (name) => {
    const group = [...document.querySelectorAll("[data-testid=tile]")].find(
      (tile) => accessibleName(tile) === name);
    if (!group) return null;
    const video = group.querySelector("video");
    const seen = { frames: Number(group.dataset.frames ?? 0), state: group.dataset.state,
      participant: group.dataset.participant, slot: group.dataset.slot, colour: null, width: 0 };
    if (video && video.videoWidth) {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 8;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(video, video.videoWidth / 4, video.videoHeight / 4,
        video.videoWidth / 2, video.videoHeight / 2, 0, 0, 8, 8);
      seen.colour = [...context.getImageData(4, 4, 1, 1).data.slice(0, 3)];
      seen.width = video.videoWidth;
    }
    return seen;
  };

  let ear = null;
  // Levels in dB of the given frequencies, over all audio elements of the page.
  live.hear = (frequencies) => {
    ear ??= { context: new AudioContext(), sources: new Map(), analyser: null };
    ear.context.resume();
    if (!ear.analyser) {
      ear.analyser = ear.context.createAnalyser();
      ear.analyser.fftSize = 4096;
      ear.analyser.smoothingTimeConstant = 0;
    }
    for (const element of document.querySelectorAll("audio")) {
      const stream = element.srcObject;
      if (stream && stream.getAudioTracks().length && ear.sources.get(element) !== stream) {
        ear.context.createMediaStreamSource(stream).connect(ear.analyser);
        ear.sources.set(element, stream);
      }
    }
    const bins = new Float32Array(ear.analyser.frequencyBinCount);
    ear.analyser.getFloatFrequencyData(bins);
    const width = ear.context.sampleRate / ear.analyser.fftSize;
    return frequencies.map((wanted) => {
      const middle = Math.round(wanted / width);
      return Math.max(...bins.slice(middle - 2, middle + 3));
    });
  };

  // What a test must time is timed here: its own clock runs late on a busy machine.
  const now = () => performance.timeOrigin + performance.now();
  document.addEventListener("click", () => { live.clickedAt = now(); }, true);

  // Notes levels as `live.hear` tells them, every 20 ms: [moment, ...levels].
  live.listen = (frequencies) => {
    clearInterval(live.listening);
    live.heard = [];
    live.listening = setInterval(() => live.heard.push([now(), ...live.hear(frequencies)]), 20);
  };

  live.selectedPair = async () => {
    for (const connection of peerConnections) {
      const report = await connection.getStats();
      for (const entry of report.values()) {
        if (entry.type === "transport" && entry.selectedCandidatePairId) {
          const pair = report.get(entry.selectedCandidatePairId);
          const remote = report.get(pair.remoteCandidateId);
          return { remotePort: remote.port, protocol: remote.protocol, state: pair.state };
        }
      }
    }
    return null;
  };
})();
