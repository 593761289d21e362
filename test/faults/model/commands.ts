import type fc from 'fast-check';
import type { Command } from './command.ts';
import { attach, detach, endLease } from './devices.ts';
import {
  readHistory,
  readOn,
  readMeanwhile,
  searchHistory,
  lookUp,
  strangerPlace,
  moodTrend,
} from './reading.ts';
import {
  send,
  sendAgain,
  retryReply,
  stopReply,
  letGo,
  deleteMessage,
  setPersonality,
  viewer,
} from './writing.ts';

/** What users do and read, on a day on which nothing happens. */
export const calm: fc.Arbitrary<Command>[] = [
  ...[send, send, send, send, send, sendAgain, sendAgain, retryReply, stopReply, letGo],
  ...[deleteMessage, deleteMessage, setPersonality, viewer, lookUp, strangerPlace, moodTrend],
  ...[
    readHistory,
    readHistory,
    readHistory,
    readHistory,
    readOn,
    readOn,
    searchHistory,
    searchHistory,
  ],
  ...[readMeanwhile, attach, attach, detach, endLease],
];
