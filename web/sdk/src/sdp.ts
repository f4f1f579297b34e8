// SDP in transit: raw deflate and base64, because an offer with many slots is large and repetitive.

export type WireDescription = { sdp: string } | { sdp_z: string };

/** Packs where the browser can; `sdp` as it is where it cannot. */
export async function pack(sdp: string): Promise<WireDescription> {
  if (typeof CompressionStream === "undefined") return { sdp };
  const packed = await through(new TextEncoder().encode(sdp), new CompressionStream("deflate-raw"));
  let binary = "";
  for (const byte of packed) binary += String.fromCharCode(byte);
  return { sdp_z: btoa(binary) };
}

/** The text of either form. */
export async function unpack(wire: { sdp?: string | null; sdp_z?: string | null }): Promise<string> {
  if (wire.sdp) return wire.sdp;
  const binary = atob(wire.sdp_z ?? "");
  const packed = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  const bytes = await through(packed, new DecompressionStream("deflate-raw"));
  return new TextDecoder().decode(bytes);
}

async function through(bytes: Uint8Array<ArrayBuffer>, transform: GenericTransformStream): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
