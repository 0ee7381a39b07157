/**
 * One socket per page. Silence is noticed: without a message for six seconds it counts as dead.
 * It comes back with growing pauses; where none comes through, the thread is fetched every 2 s.
 */

const SILENCE = 6000;
const ACK_EVERY = 16;
const ACK_CHARACTERS = 64_000;
const POLL = 2000;
const POLLED_RETRY = 30_000;
const FIRST_PAUSE = 300;
const LONGEST_PAUSE = 8000;

/**
 * @typedef {object} Callbacks
 * @property {() => void} opened
 * @property {(message: object) => void} received
 * @property {(code: number) => boolean} closed says whether to come back
 * @property {(up: boolean) => void} state
 * @property {() => void} poll
 */

export class Connection {
  #address;
  /** @type {Callbacks} */
  #callbacks;
  #socket = null;
  #received = 0;
  #acknowledged = 0;
  #characters = 0;
  #failures = 0;
  #everOpen = false;
  #heard = 0;
  #reconnect = 0;
  #polling = 0;

  constructor(address, callbacks) {
    this.#address = address;
    this.#callbacks = callbacks;
    setInterval(() => this.#check(), 1000);
    addEventListener("online", () => this.#now());
    addEventListener("pageshow", (event) => event.persisted && this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
    this.#open();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  #open() {
    clearTimeout(this.#reconnect);
    this.#reconnect = 0;
    this.#received = this.#acknowledged = this.#characters = 0;
    this.#heard = performance.now();
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#everOpen = true;
      this.#heard = performance.now();
      clearInterval(this.#polling);
      this.#polling = 0;
      this.#callbacks.state(true);
      this.#callbacks.opened();
    };
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code);
    };
  }

  #take(text) {
    this.#heard = performance.now();
    this.#received += 1;
    this.#characters += text.length;
    try {
      this.#callbacks.received(JSON.parse(text));
    } finally {
      const waiting = this.#received - this.#acknowledged;
      if (waiting >= ACK_EVERY || this.#characters >= ACK_CHARACTERS) this.#acknowledge();
    }
  }

  #acknowledge() {
    if (this.#received === this.#acknowledged) return;
    this.#acknowledged = this.#received;
    this.#characters = 0;
    this.send({ t: "ack", n: this.#received });
  }

  #check() {
    this.#acknowledge();
    if (this.#socket && performance.now() - this.#heard > SILENCE) {
      const dead = this.#socket;
      this.#lost(1006);
      dead.close();
    }
  }

  #lost(code) {
    this.#socket = null;
    this.#callbacks.state(false);
    if (!this.#callbacks.closed(code)) return;
    this.#failures += 1;
    if (this.#failures >= 3 && !this.#everOpen && !this.#polling) {
      this.#polling = setInterval(() => this.#callbacks.poll(), POLL);
      this.#callbacks.state(true);
    }
    const grown = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    const pause = this.#polling ? POLLED_RETRY : grown * (0.5 + Math.random());
    this.#reconnect = setTimeout(() => this.#open(), pause);
  }

  /** There is reason to believe that it works again. */
  #now() {
    if (this.#reconnect) this.#open();
  }
}
