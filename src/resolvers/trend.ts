import { type MoodPoint, moodTrend as trend, type TrendRequest } from '../services/trend.ts';
import { type Context, signedIn } from './context.ts';

export const moodTrend = (args: TrendRequest, context: Context): Promise<readonly MoodPoint[]> =>
  trend(context.services.messages, signedIn(context), args);
