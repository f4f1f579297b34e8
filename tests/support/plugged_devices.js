// Injected after synthetic_media.js: two cameras and a microphone that a test plugs in and out. The test
// puts in front: const PLUGGED = {"Cam A": "#rrggbb", ...}, the cameras and what they see.
(() => {
  const media = navigator.mediaDevices;
  const tone = media.getUserMedia.bind(media);
  const away = new Set();
  const tracks = new Map();
  const live = { busy: null };
  window.__plugged = live;

  const film = (name) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [640, 360];
    const context = canvas.getContext("2d");
    let step = 0;
    setInterval(() => {
      context.fillStyle = PLUGGED[name];
      context.fillRect(0, 0, 640, 360);
      context.fillStyle = "#ffffff";
      context.fillRect((step++ % 40) * 16, 330, 16, 30);
    }, 200);
    const track = canvas.captureStream(5).getVideoTracks()[0];
    const settings = track.getSettings.bind(track);
    track.getSettings = () => ({ ...settings(), deviceId: name });
    return track;
  };

  media.getUserMedia = async (wanted) => {
    if (!wanted.video) return tone(wanted);
    const there = Object.keys(PLUGGED).filter((name) => !away.has(name));
    const exact = wanted.video.deviceId?.exact;
    if (exact && !there.includes(exact)) throw new DOMException("gone", "OverconstrainedError");
    const name = exact ?? there[0];
    if (!name) throw new DOMException("none", "NotFoundError");
    if (live.busy === name) throw new DOMException("busy", "NotReadableError");
    const track = film(name);
    tracks.set(track, name);
    return new MediaStream([track]);
  };
  media.enumerateDevices = async () => [
    { kind: "audioinput", deviceId: "mic", label: "Mic", groupId: "mic" },
    ...Object.keys(PLUGGED).filter((name) => !away.has(name))
      .map((name) => ({ kind: "videoinput", deviceId: name, label: name, groupId: name })),
  ];
  live.unplug = (...names) => {
    for (const name of names) away.add(name);
    for (const [track, name] of tracks) {
      if (!names.includes(name) || track.readyState === "ended") continue;
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }
    media.dispatchEvent(new Event("devicechange"));
  };
  live.plug = (name) => {
    away.delete(name);
    media.dispatchEvent(new Event("devicechange"));
  };
})();
