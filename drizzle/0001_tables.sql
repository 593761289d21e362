CREATE TYPE "public"."chat_mood" AS ENUM('POSITIVE', 'NEUTRAL', 'NEGATIVE');--> statement-breakpoint
CREATE TYPE "public"."chat_reply_status" AS ENUM('PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED');--> statement-breakpoint
CREATE TABLE "chat_counters" (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"seq" bigint DEFAULT 0 NOT NULL,
	"last_created_at" timestamp with time zone DEFAULT '-infinity' NOT NULL
);
--> statement-breakpoint
ALTER TABLE "chat_counters" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "chat_deletions" (
	"user_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"seq" bigint NOT NULL,
	"deleted_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "chat_deletions_user_id_id_pk" PRIMARY KEY("user_id","id")
);
--> statement-breakpoint
ALTER TABLE "chat_deletions" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "chat_history" (
	"user_id" uuid NOT NULL,
	"id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"seq" bigint NOT NULL,
	"reply_seq" bigint,
	"message" text NOT NULL,
	"response" text DEFAULT '' NOT NULL,
	"status" "chat_reply_status" DEFAULT 'COMPLETE' NOT NULL,
	"failure" text,
	"personality_context" jsonb,
	"has_personality_context" boolean NOT NULL,
	"mood" "chat_mood" DEFAULT 'NEUTRAL' NOT NULL,
	"mood_score" double precision DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "chat_history_user_id_id_pk" PRIMARY KEY("user_id","id")
);
--> statement-breakpoint
ALTER TABLE "chat_history" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "chat_reply_leases" (
	"user_id" uuid NOT NULL,
	"message_id" uuid NOT NULL,
	"token" uuid NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"stop_requested" boolean DEFAULT false NOT NULL,
	CONSTRAINT "chat_reply_leases_user_id_message_id_pk" PRIMARY KEY("user_id","message_id")
);
--> statement-breakpoint
ALTER TABLE "chat_reply_leases" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "chat_counters" ADD CONSTRAINT "chat_counters_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "auth"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "chat_deletions" ADD CONSTRAINT "chat_deletions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "auth"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "chat_history" ADD CONSTRAINT "chat_history_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "auth"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "chat_reply_leases" ADD CONSTRAINT "chat_reply_leases_user_id_message_id_chat_history_user_id_id_fk" FOREIGN KEY ("user_id","message_id") REFERENCES "public"."chat_history"("user_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "idx_chat_deletions_user_seq" ON "chat_deletions" USING btree ("user_id","seq");--> statement-breakpoint
CREATE UNIQUE INDEX "idx_chat_history_user_seq" ON "chat_history" USING btree ("user_id","seq");--> statement-breakpoint
CREATE INDEX "idx_chat_history_user_created" ON "chat_history" USING btree ("user_id","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "idx_chat_history_personality" ON "chat_history" USING btree ("user_id","has_personality_context","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "idx_chat_reply_leases_expires" ON "chat_reply_leases" USING btree ("expires_at");--> statement-breakpoint
CREATE POLICY "Users can view own counter" ON "chat_counters" AS PERMISSIVE FOR SELECT TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can insert own counter" ON "chat_counters" AS PERMISSIVE FOR INSERT TO "authenticated" WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can update own counter" ON "chat_counters" AS PERMISSIVE FOR UPDATE TO "authenticated" USING ((select auth.uid()) = user_id) WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can delete own counter" ON "chat_counters" AS PERMISSIVE FOR DELETE TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can view own deletions" ON "chat_deletions" AS PERMISSIVE FOR SELECT TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can insert own deletions" ON "chat_deletions" AS PERMISSIVE FOR INSERT TO "authenticated" WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can update own deletions" ON "chat_deletions" AS PERMISSIVE FOR UPDATE TO "authenticated" USING ((select auth.uid()) = user_id) WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can delete own deletions" ON "chat_deletions" AS PERMISSIVE FOR DELETE TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can view own messages" ON "chat_history" AS PERMISSIVE FOR SELECT TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can insert own messages" ON "chat_history" AS PERMISSIVE FOR INSERT TO "authenticated" WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can update own messages" ON "chat_history" AS PERMISSIVE FOR UPDATE TO "authenticated" USING ((select auth.uid()) = user_id) WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can delete own messages" ON "chat_history" AS PERMISSIVE FOR DELETE TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can view own replies" ON "chat_reply_leases" AS PERMISSIVE FOR SELECT TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can insert own replies" ON "chat_reply_leases" AS PERMISSIVE FOR INSERT TO "authenticated" WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can update own replies" ON "chat_reply_leases" AS PERMISSIVE FOR UPDATE TO "authenticated" USING ((select auth.uid()) = user_id) WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can delete own replies" ON "chat_reply_leases" AS PERMISSIVE FOR DELETE TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Workers can see running replies" ON "chat_reply_leases" AS PERMISSIVE FOR SELECT TO "chatkeep_worker" USING (true);--> statement-breakpoint
CREATE POLICY "Workers can keep replies running" ON "chat_reply_leases" AS PERMISSIVE FOR UPDATE TO "chatkeep_worker" USING (true);