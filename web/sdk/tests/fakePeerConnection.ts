/** As much of a peer connection as an offer needs. */
export class FakePeerConnection {
  static made: FakePeerConnection[] = [];
  connectionState = "new";
  closed = false;
  onconnectionstatechange: () => void = () => {};
  #mid = 0;

  constructor() {
    FakePeerConnection.made.push(this);
  }

  addTransceiver(kind: string): object {
    const mid = String(this.#mid++);
    return { mid, sender: { replaceTrack: async () => {} }, receiver: { track: { kind } }, setCodecPreferences: () => {} };
  }

  async createOffer(): Promise<object> {
    return { type: "offer", sdp: "v=0" };
  }

  async setLocalDescription(): Promise<void> {}
  async setRemoteDescription(): Promise<void> {}
  addEventListener(): void {}
  async getStats(): Promise<Map<string, object>> {
    return new Map();
  }

  become(state: string): void {
    this.connectionState = state;
    this.onconnectionstatechange();
  }

  close(): void {
    this.closed = true;
  }
}
